/* calendar.h: UTC dates to seconds since 1970. Internal to the device library; no time zones, no leap seconds. */
#ifndef CRADLE_DEV_CALENDAR_H
#define CRADLE_DEV_CALENDAR_H

#include <stdint.h>

int calendar_two(const void *digits); /* two ASCII digits; -1 when they are none */
/* Gregorian; false when a field is out of its range (a day 31 passes in every month). */
int calendar_s(int year, int month, int day, int hour, int min, int sec, int64_t *out_s); /* 0, or -1 */

#endif
