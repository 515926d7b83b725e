/* clock.h: wall and monotonic time, RFC 3339 text. Units in names. Not a scheduler.
 * Wall time is only for what is written down; every timeout uses the monotonic clock.
 */
#ifndef CRADLE_BASE_CLOCK_H
#define CRADLE_BASE_CLOCK_H

#include <stdint.h>

#include "base/span.h"

int64_t clock_now_s(void);    /* wall clock, seconds since 1970 */
int64_t clock_now_ms(void);   /* wall clock, milliseconds since 1970 */
int64_t clock_mono_ms(void);  /* monotonic, milliseconds */
int64_t clock_mono_us(void);  /* monotonic, microseconds */

#define CLOCK_TEXT_MAX 32
/* "2026-11-20T22:57:00Z" (ms version: "…00.123Z"); out has CLOCK_TEXT_MAX bytes. */
void clock_text_s(int64_t at_s, char *out);
void clock_text_ms(int64_t at_ms, char *out);
/* Parses "YYYY-MM-DDTHH:MM:SS[.fff]Z" exactly; years 1970..9999. */
MUST_USE enum err clock_parse_ms(struct span text, int64_t *at_ms);
/* Civil date from seconds (UTC), without touching the time zone database. */
struct clock_civil { int year, month, day, hour, min, sec; };
void clock_civil(int64_t at_s, struct clock_civil *out);
int64_t clock_from_civil(const struct clock_civil *c);
/* Parses "90", "90s", "15m", "12h", "30d", "2w", "2y" (365 d) into seconds. CE_BAD_INPUT otherwise or below 0. */
MUST_USE enum err clock_parse_span_s(struct span text, int64_t *out_s);

#endif
