/* manual.h: cradled(8) and cradled.conf(5), made from the same tables that the program works by. */
#ifndef CRADLE_ROLE_MANUAL_H
#define CRADLE_ROLE_MANUAL_H

/* section "5" or "8": mdoc on stdout; returns the exit code. */
int cradled_manual(const char *section);

#endif
