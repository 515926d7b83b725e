/* key_list.c: see key_list.h. */
#include "wire/key_list.h"

static size_t digits(struct span s)
{
    size_t n = 0;
    while (n < s.n && hex_value(s.p[n]) >= 0)
        n++;
    return n;
}

enum err key_list_next(struct span *text, unsigned *line, struct key_list_id *out, struct fault *f)
{
    struct span row;
    out->n = 0;
    while (span_cut(text, '\n', &row)) {
        ++*line;
        row = span_trim(row);
        if (row.n == 0 || row.p[0] == '#')
            continue;
        size_t n = digits(row);
        bool ends = n == row.n || row.p[n] == ' ' || row.p[n] == '\t';
        if (!ends || (n != 64 && n != 20))
            return fault_set(f, CE_BAD_INPUT, "line %u: a key is 64 hexadecimal digits (SHA-256 of its SubjectPublicKeyInfo) or 20 (openssl-blacklist)", *line);
        for (size_t i = 0; i < n / 2; i++)
            out->bytes[i] = (uint8_t)(hex_value(row.p[2 * i]) << 4 | hex_value(row.p[2 * i + 1]));
        out->n = n / 2;
        return CE_OK;
    }
    return CE_OK;
}
