/* base64.h: decoding over itself: three bytes out for four in, so the writer never passes the reader. Internal to the device library. */
#ifndef CRADLE_DEV_BASE64_H
#define CRADLE_DEV_BASE64_H

#include "cradle/dev.h"

extern const char base64_digits[];
/* White space is ignored, padding may be absent. CRADLE_E_INPUT. */
int base64_in_place(char *body, size_t n, size_t *out_n);

#endif
