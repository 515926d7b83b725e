/* clock.c: see clock.h. Civil dates by arithmetic on days, so that jailed roles open no zone file. */
#include "base/clock.h"

#include <string.h>
#include <time.h>

#include "base/mem.h"

static int64_t clock_read_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_now_s(void) { return clock_read_us(CLOCK_REALTIME) / 1000000; }
int64_t clock_now_ms(void) { return clock_read_us(CLOCK_REALTIME) / 1000; }
int64_t clock_mono_ms(void) { return clock_read_us(CLOCK_MONOTONIC) / 1000; }
int64_t clock_mono_us(void) { return clock_read_us(CLOCK_MONOTONIC); }

/* Days since 1970-01-01 of a proleptic Gregorian date. */
static int64_t days_from_civil(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

void clock_civil(int64_t at_s, struct clock_civil *out)
{
    int64_t days = at_s / 86400, rest = at_s % 86400;
    if (rest < 0)
        rest += 86400, days--;
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    out->day = (int)(doy - (153 * mp + 2) / 5 + 1);
    out->month = (int)(mp < 10 ? mp + 3 : mp - 9);
    out->year = (int)(yoe + era * 400 + (out->month <= 2));
    out->hour = (int)(rest / 3600);
    out->min = (int)(rest / 60 % 60);
    out->sec = (int)(rest % 60);
}

int64_t clock_from_civil(const struct clock_civil *c)
{
    return days_from_civil(c->year, c->month, c->day) * 86400 + c->hour * 3600 + c->min * 60 + c->sec;
}

/* By hand: every event carries a time, and snprintf was a twentieth of what an event costs. */
static void put_digits(char *at, int n, unsigned v)
{
    for (; n-- > 0; v /= 10)
        at[n] = (char)('0' + v % 10);
}

void clock_text_s(int64_t at_s, char *out)
{
    struct clock_civil c;
    clock_civil(at_s, &c);
    memcpy(out, "0000-00-00T00:00:00Z", 21);
    put_digits(out, 4, (unsigned)c.year % 10000);
    put_digits(out + 5, 2, (unsigned)c.month);
    put_digits(out + 8, 2, (unsigned)c.day);
    put_digits(out + 11, 2, (unsigned)c.hour);
    put_digits(out + 14, 2, (unsigned)c.min);
    put_digits(out + 17, 2, (unsigned)c.sec);
}

void clock_text_ms(int64_t at_ms, char *out)
{
    int64_t s = at_ms / 1000, ms = at_ms % 1000;
    if (ms < 0)
        ms += 1000, s--;
    clock_text_s(s, out);
    memcpy(out + 19, ".000Z", 6);
    put_digits(out + 20, 3, (unsigned)ms);
}

static bool digits(struct span t, size_t at, size_t n, int *out)
{
    int v = 0;
    for (size_t i = at; i < at + n; i++) {
        if (t.p[i] < '0' || t.p[i] > '9')
            return false;
        v = v * 10 + (t.p[i] - '0');
    }
    *out = v;
    return true;
}

enum err clock_parse_ms(struct span t, int64_t *at_ms)
{
    struct clock_civil c, back;
    int ms = 0;
    if ((t.n != 20 && t.n != 24) || t.p[4] != '-' || t.p[7] != '-' || t.p[10] != 'T' || t.p[13] != ':' ||
        t.p[16] != ':' || t.p[t.n - 1] != 'Z')
        return CE_BAD_INPUT;
    if (!digits(t, 0, 4, &c.year) || !digits(t, 5, 2, &c.month) || !digits(t, 8, 2, &c.day) ||
        !digits(t, 11, 2, &c.hour) || !digits(t, 14, 2, &c.min) || !digits(t, 17, 2, &c.sec))
        return CE_BAD_INPUT;
    if (t.n == 24 && (t.p[19] != '.' || !digits(t, 20, 3, &ms)))
        return CE_BAD_INPUT;
    if (c.year < 1970 || c.month < 1 || c.month > 12 || c.day < 1 || c.hour > 23 || c.min > 59 || c.sec > 59)
        return CE_BAD_INPUT;
    int64_t s = clock_from_civil(&c);
    clock_civil(s, &back);
    if (back.day != c.day || back.month != c.month)
        return CE_BAD_INPUT;
    *at_ms = s * 1000 + ms;
    return CE_OK;
}

enum err clock_parse_span_s(struct span text, int64_t *out_s)
{
    static const struct { char unit; int64_t s; } units[] = {
        { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 7 * 86400 }, { 'y', 365 * 86400 },
    };
    int64_t scale = 1;
    if (text.n == 0)
        return CE_BAD_INPUT;
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (text.p[text.n - 1] == units[i].unit) {
            scale = units[i].s;
            text.n--;
            break;
        }
    int64_t v;
    if (!span_to_i64(text, &v) || v < 0 || __builtin_mul_overflow(v, scale, &v))
        return CE_BAD_INPUT;
    *out_s = v;
    return CE_OK;
}
