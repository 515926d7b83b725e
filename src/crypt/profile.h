/* profile.h: certificate profiles as data: what a leaf of this kind looks like and how long it may live. Read by config.h.
 *
 * Templates: "CN={uid}, serialNumber={serial}, O=Acme". Attributes CN, serialNumber, O, OU, C; {uid} {serial} {line} {role}; an
 * attribute (or a SAN) whose value comes out empty is left out; a backslash and two hex digits stand for any byte that the
 * syntax takes (\2c is a comma). SAN: one URI template.
 */
#ifndef CRADLE_CRYPT_PROFILE_H
#define CRADLE_CRYPT_PROFILE_H

#include "base/config.h"
#include "base/name.h"
#include "base/span.h"
#include "crypt/key_gate.h"

struct profile {
    char name[LABEL_MAX + 1];
#define CFG CONFIG_FIELD
#include "crypt/profile.def"
#undef CFG
};

#define PROFILE_IDEVID "idevid" /* initial device identities: they enroll and do nothing else */

struct profile_values { /* what the templates draw from */
    struct span uid, serial, line, role;
};

/* Judges the templates and limits as well. Pure. CE_BAD_CONFIG with file name and rule. */
MUST_USE enum err profile_parse(const char *name, struct span text, struct profile *out, struct fault *f);
bool profile_there(const char *site_dir, const char *name); /* is there such a file? */
MUST_USE enum err profile_load(const char *site_dir, const char *name, struct profile *out, struct fault *f); /* DIR/profiles/NAME.conf */
/* The default file for "device", "operator" or "idevid" (without hw_type, which ends it), with comments; org goes into the subject template, escaped.
 * False for another name. */
bool profile_default_text(const char *name, struct span org, struct buf *out);

/* Appends the subject Name (DER) or the SAN URI's text. CE_BAD_NAME when a value does not fit X.509's bounds. */
MUST_USE enum err profile_subject(const struct profile *p, const struct profile_values *v, struct buf *out, struct fault *f);
MUST_USE enum err profile_san_uri(const struct profile *p, const struct profile_values *v, struct buf *out, struct fault *f);
/* Which keys it takes; lives as long as p. */
struct key_policy profile_key_policy(const struct profile *p);
/* When a certificate of these dates may be renewed (s since 1970). */
int64_t profile_renew_at(const struct profile *p, int64_t not_before, int64_t not_after);
/* Lifetime to give: asked_s (0: the default), cut to validity_max_s. */
int64_t profile_validity(const struct profile *p, int64_t asked_s);

#endif
