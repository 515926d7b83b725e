/* base64.c: see base64.h. */
#include "base64.h"

#include <string.h>

const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int digit(char c)
{
    const char *at = c ? strchr(base64_digits, c) : NULL;
    return at ? (int)(at - base64_digits) : -1;
}

int base64_in_place(char *body, size_t n, size_t *out_n)
{
    uint8_t *out = (uint8_t *)body;
    uint32_t w = 0;
    unsigned have = 0, pad = 0;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        char c = body[i];
        if (c == ' ' || (c >= '\t' && c <= '\r'))
            continue;
        if (c == '=' && have >= 2 && ++pad <= 2)
            continue;
        int v = digit(c);
        if (v < 0 || pad)
            return CRADLE_E_INPUT;
        w = w << 6 | (uint32_t)v;
        if (++have < 4)
            continue;
        out[at++] = (uint8_t)(w >> 16);
        out[at++] = (uint8_t)(w >> 8);
        out[at++] = (uint8_t)w;
        have = 0;
        w = 0;
    }
    if (have == 1 || (pad && have + pad != 4))
        return CRADLE_E_INPUT;
    if (have >= 2)
        out[at++] = (uint8_t)(w >> (have == 2 ? 4 : 10));
    if (have == 3)
        out[at++] = (uint8_t)(w >> 2);
    *out_n = at;
    return CRADLE_OK;
}
