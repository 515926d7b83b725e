/* tap.h: the test helper: prints TAP. ok(cond, "name …") counts; done() ends main. */
#ifndef CRADLE_TAP_H
#define CRADLE_TAP_H
#include <stdio.h>
#include <stdlib.h>
static int tap_n, tap_bad;
#define ok(cond, ...) \
    (tap_n++, (cond) ? printf("ok %d - ", tap_n) : (tap_bad++, printf("not ok %d - (%s:%d: %s) ", tap_n, __FILE__, __LINE__, #cond)), \
     printf(__VA_ARGS__), putchar('\n'), fflush(stdout))
static inline int done(void)
{
    printf("1..%d\n", tap_n);
    return tap_bad != 0;
}
#endif
