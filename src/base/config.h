/* config.h: the one reader of "key = value" files. Each program has a table (an X-macro .def file) of
 * its keys; the same table makes defaults, checking, the -T dump and the manual page.
 * '#' starts a comment at the start of a line or after white space. Unknown, repeated and out-of-range keys are errors
 * with file and line. It is not a template language: no includes, no variables.
 *
 * .def line:  CFG(TYPE, field, default, min, max, "unit", "what it is for")
 * TYPE: STR (char[256]; min/max = length) | INT (int64_t) | SPAN_S (int64_t seconds, written 90, 15m, 12h, 30d, 2y)
 *     | BOOL (bool; yes/no) ; default is written as text.
 */
#ifndef CRADLE_BASE_CONFIG_H
#define CRADLE_BASE_CONFIG_H

#include "base/span.h"

enum config_type { CFG_STR, CFG_INT, CFG_SPAN_S, CFG_BOOL };

#define CONFIG_STR_MAX 256
#define CONFIG_C_STR char
#define CONFIG_FIELD_STR(field) char field[CONFIG_STR_MAX];
#define CONFIG_FIELD_INT(field) int64_t field;
#define CONFIG_FIELD_SPAN_S(field) int64_t field;
#define CONFIG_FIELD_BOOL(field) bool field;
/* Inside `struct x_config {` : #define CFG CONFIG_FIELD ; #include "x.def" ; #undef CFG */
#define CONFIG_FIELD(type, field, def, min, max, unit, doc) CONFIG_FIELD_##type(field)

struct config_key {
    const char *name;
    enum config_type type;
    size_t offset;           /* in the program's config struct */
    const char *def;
    int64_t min, max;
    const char *unit, *doc;
};
/* One row of the table for `struct st`: #define CFG(...) CONFIG_ROW(st, __VA_ARGS__) */
#define CONFIG_ROW(st, type_, field, def_, min_, max_, unit_, doc_) \
    { #field, CFG_##type_, offsetof(struct st, field), def_, min_, max_, unit_, doc_ },

/* Fills cfg with defaults, then with text; name is used in messages ("name:12: unknown key 'x'").
 * On error cfg is unspecified and f says file, line and rule. Pure: opens nothing. */
MUST_USE enum err config_parse(const struct config_key *keys, size_t nkeys, const char *name, struct span text, void *cfg,
                               struct fault *f);
/* The same for a part of a file, whose first line is number first_line (from 1): files with sections have a table for each. */
MUST_USE enum err config_parse_part(const struct config_key *keys, size_t nkeys, const char *name, unsigned first_line, struct span text,
                                    void *cfg, struct fault *f);
MUST_USE enum err config_load(const struct config_key *keys, size_t nkeys, const char *path, void *cfg, struct fault *f);
/* Sets one key from text, as if it stood in the file (for command line overrides). */
MUST_USE enum err config_set(const struct config_key *keys, size_t nkeys, struct span key, struct span value, void *cfg,
                             struct fault *f);
/* The effective configuration as a file that config_parse reads back; with_doc adds each key's comment. */
void config_dump(const struct config_key *keys, size_t nkeys, const void *cfg, bool with_doc, struct buf *out);
/* The keys as items of an mdoc(7) list, for a manual page of section 5. */
void config_mdoc(const struct config_key *keys, size_t nkeys, struct buf *out);

#endif
