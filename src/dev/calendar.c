/* calendar.c: see calendar.h. */
#include "calendar.h"

int calendar_two(const void *digits)
{
    const uint8_t *p = digits;
    return p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9' ? -1 : (p[0] - '0') * 10 + p[1] - '0';
}

static int64_t days(int y, int m, int d)
{
    y -= m <= 2;
    int era = y / 400, yoe = y - era * 400, doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return (int64_t)era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

int calendar_s(int year, int month, int day, int hour, int min, int sec, int64_t *out_s)
{
    if (month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 23 || min < 0 || min > 59 || sec < 0 || sec > 59)
        return -1;
    *out_s = days(year, month, day) * 86400 + hour * 3600 + min * 60 + sec;
    return 0;
}
