/* profile.c: see profile.h. */
#include "crypt/profile.h"

#include <stddef.h>
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "crypt/ca_set.h"
#include "crypt/der.h"
#include "crypt/dn.h"
#include "crypt/oid_text.h"

#define PROFILE_FILE_MAX 65536
#define SAN_URI_MAX 255

static const struct config_key profile_keys[] = {
#define CFG(...) CONFIG_ROW(profile, __VA_ARGS__)
#include "crypt/profile.def"
#undef CFG
};

/* -- templates -------------------------------------------------------------------------------------------------- */

static enum err template_place(struct span *t, const struct profile_values *v, struct buf *out, struct fault *f)
{
    static const struct { const char *name; size_t at; } places[] = {
        { "uid", offsetof(struct profile_values, uid) },   { "serial", offsetof(struct profile_values, serial) },
        { "line", offsetof(struct profile_values, line) }, { "role", offsetof(struct profile_values, role) },
    };
    struct span name, rest = *t;
    if (!memchr(rest.p, '}', rest.n))
        return fault_set(f, CE_BAD_CONFIG, "'{' without '}'");
    span_cut(&rest, '}', &name);
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (!span_eq_str(name, places[i].name))
            continue;
        buf_put_span(out, *(const struct span *)((const char *)v + places[i].at));
        *t = rest;
        return CE_OK;
    }
    return fault_set(f, CE_BAD_CONFIG, "unknown place {%.*s}; known are {uid} {serial} {line} {role}", name.n < 32 ? (int)name.n : 32,
                     (const char *)name.p);
}

/* Expands up to the next unescaped stop character (0: to the end), which stays in *t. */
static enum err template_expand(struct span *t, char stop, const struct profile_values *v, struct buf *out, struct fault *f)
{
    uint8_t c;
    while (t->n && (!stop || t->p[0] != stop)) {
        span_get_u8(t, &c);
        if (c == '{') {
            enum err e = template_place(t, v, out, f);
            if (e)
                return e;
        } else if (c == '\\') {
            struct span pair;
            if (!span_get(t, 2, &pair) || hex_decode(pair, out))
                return fault_set(f, CE_BAD_CONFIG, "a backslash needs two hex digits (\\2c is a comma)");
        } else if (c == '}') {
            return fault_set(f, CE_BAD_CONFIG, "'}' without '{' (write \\7d)");
        } else {
            buf_put_u8(out, c);
        }
    }
    return CE_OK;
}

static enum err template_attr(struct span name, enum dn_attr *out, struct fault *f)
{
    static const struct { const char *name; enum dn_attr attr; } attrs[] = {
        { "CN", DN_CN }, { "serialNumber", DN_SERIAL_NUMBER }, { "O", DN_O }, { "OU", DN_OU }, { "C", DN_C },
    };
    for (size_t i = 0; i < ARRAY_LEN(attrs); i++)
        if (span_eq_str(name, attrs[i].name)) {
            *out = attrs[i].attr;
            return CE_OK;
        }
    return fault_set(f, CE_BAD_CONFIG, "unknown attribute '%.*s'; known are CN serialNumber O OU C", name.n < 32 ? (int)name.n : 32,
                     (const char *)name.p);
}

static enum err subject_value(enum dn_attr attr, struct span value, struct buf *out, struct fault *f)
{
    if (value.n == 0)
        return CE_OK;
    if (value.n > DN_VALUE_MAX || !span_is_utf8(value) || (attr == DN_C && value.n != 2))
        return fault_set(f, CE_BAD_NAME, "RFC 5280 A.1: a subject attribute must be UTF-8 of at most %d bytes (C: 2)", DN_VALUE_MAX);
    dn_put(out, attr, value);
    return CE_OK;
}

enum err profile_subject(const struct profile *p, const struct profile_values *v, struct buf *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf value = BUF_INIT(4096);
    struct span t = span_str(p->subject), name;
    unsigned seen[DN_OU + 1] = { 0 };
    size_t at = der_begin(out, DER_SEQUENCE);
    while (t.n) {
        enum dn_attr attr = DN_CN;
        if (!memchr(t.p, '=', t.n))
            return fault_set(f, CE_BAD_CONFIG, "the subject is 'ATTRIBUTE=value, ATTRIBUTE=value'");
        span_cut(&t, '=', &name);
        buf_reset(&value);
        enum err e = template_attr(span_trim(name), &attr, f);
        if (!e)
            e = template_expand(&t, ',', v, &value, f);
        if (!e && seen[attr]++)
            e = fault_set(f, CE_BAD_CONFIG, "attribute '" SPAN_FMT "' appears twice", SPAN_ARG(span_trim(name)));
        if (!e)
            e = subject_value(attr, span_trim(buf_span(&value)), out, f);
        if (e)
            return e;
        if (t.n)
            t = span_trim(span_of(t.p + 1, t.n - 1));
    }
    if (!seen[DN_CN])
        return fault_set(f, CE_BAD_CONFIG, "the subject needs a CN");
    der_end(out, at);
    return buf_err(out);
}

static bool uri_text(struct span s)
{
    bool colon = false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || strchr("\"<>\\^`{|}", s.p[i]))
            return false;
        colon = colon || (s.p[i] == ':' && i > 0);
    }
    return colon && s.n <= SAN_URI_MAX;
}

enum err profile_san_uri(const struct profile *p, const struct profile_values *v, struct buf *out, struct fault *f)
{
    struct span t = span_str(p->san_uri);
    size_t before = out->len;
    enum err e = template_expand(&t, 0, v, out, f);
    if (e || out->len == before)
        return e ? e : buf_err(out);
    if (!uri_text(span_of(out->data + before, out->len - before)))
        return fault_set(f, CE_BAD_NAME, "RFC 5280 4.2.1.6: the SAN is not an absolute URI of at most %d ASCII characters", SAN_URI_MAX);
    return buf_err(out);
}

/* -- loading ---------------------------------------------------------------------------------------------------- */

static enum err profile_judge_algs(const struct profile *p, struct fault *f)
{
    static const char *const known[] = { "ec:P-256", "ec:P-384", "ed25519", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87" };
    struct span rest = span_str(p->key_algs), word;
    while (span_cut(&rest, ' ', &word)) {
        bool good = word.n == 0;
        int64_t bits;
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            good = good || span_eq_str(word, known[i]);
        good = good || (span_starts(word, "rsa:") && span_to_i64(span_of(word.p + 4, word.n - 4), &bits) && bits >= KEY_RSA_BITS_MIN && bits <= KEY_RSA_BITS_MAX);
        if (!good)
            return fault_set(f, CE_BAD_CONFIG, "key_algs: unknown algorithm '" SPAN_FMT "' (ec:P-256 ec:P-384 ed25519 rsa:3072 ml-dsa-65; RSA from %d to %d bits)", SPAN_ARG(word),
                             KEY_RSA_BITS_MIN, KEY_RSA_BITS_MAX);
        struct fault why;
        if (key_alg_supported(word, &why))
            return fault_set(f, CE_BAD_CONFIG, "key_algs: %s", why.text);
    }
    return CE_OK;
}

/* The hardwareModuleName is the mark by which every gate knows an initial identity, so the profile of that name has it and no other. */
static enum err judge_idevid(const struct profile *p, struct fault *f)
{
    CLEANUP(buf_free) struct buf oid = BUF_INIT(0);
    bool is = strcmp(p->name, PROFILE_IDEVID) == 0;
    if (is != (*p->hw_type != 0))
        return fault_set(f, CE_BAD_CONFIG, is ? "profile " PROFILE_IDEVID " needs hw_type" : "hw_type is for profile " PROFILE_IDEVID " only");
    if (!is && (p->no_end || !p->urls))
        return fault_set(f, CE_BAD_CONFIG, "no_end = yes and urls = no are for profile " PROFILE_IDEVID " only");
    return is ? oid_from_text("hw_type", span_str(p->hw_type), &oid, f) : CE_OK;
}

static enum err profile_judge(const struct profile *p, struct fault *f)
{
    static const struct profile_values sample = {
        .uid = { (const uint8_t *)"u", 1 }, .serial = { (const uint8_t *)"s", 1 }, .line = { (const uint8_t *)"l", 1 },
        .role = { (const uint8_t *)"r", 1 },
    };
    CLEANUP(buf_free) struct buf out = BUF_INIT(8192);
    enum ca_use use = ca_use_find(span_str(p->ca));
    if (!ca_use_issues(use))
        return fault_set(f, CE_BAD_CONFIG, "ca must be device or infra, or idevid in profile " PROFILE_IDEVID);
    if (use == CA_USE_IDEVID && strcmp(p->name, PROFILE_IDEVID) != 0)
        return fault_set(f, CE_BAD_CONFIG, "ca = idevid is for profile " PROFILE_IDEVID " only");
    if (p->validity_s > p->validity_max_s)
        return fault_set(f, CE_BAD_CONFIG, "validity_s is longer than validity_max_s");
    if (p->backdate_s >= p->validity_s)
        return fault_set(f, CE_BAD_CONFIG, "backdate_s is as long as the whole life");
    enum err e = judge_idevid(p, f);
    if (e)
        return e;
    if (!p->client_auth && !p->server_auth && !*p->hw_type)
        return fault_set(f, CE_BAD_CONFIG, "client_auth or server_auth must be yes");
    e = profile_judge_algs(p, f);
    if (!e)
        e = profile_subject(p, &sample, &out, f);
    if (!e)
        e = profile_san_uri(p, &sample, &out, f);
    return e;
}

/* Number of the line that sets the key; 0: none does. */
static unsigned line_of(struct span text, const char *key)
{
    struct span line;
    for (unsigned n = 1; span_cut(&text, '\n', &line); n++)
        if (span_starts(span_trim(line), key))
            return n;
    return 0;
}

enum err profile_parse(const char *name, struct span text, struct profile *out, struct fault *f)
{
    struct fault why = { .code = CE_OK };
    enum err e = name_check_label("a profile's name", span_str(name), f);
    if (e)
        return e;
    e = config_parse(profile_keys, ARRAY_LEN(profile_keys), name, text, out, f);
    if (e)
        return e;
    snprintf(out->name, sizeof out->name, "%s", name);
    e = profile_judge(out, &why);
    unsigned line = e && strncmp(why.text, "key_algs:", 9) == 0 ? line_of(text, "key_algs") : 0;
    if (line)
        return fault_set(f, CE_BAD_CONFIG, "profiles/%s.conf:%u: %s", name, line, why.text);
    return e ? fault_set(f, CE_BAD_CONFIG, "profile %s: %s", name, why.text) : CE_OK;
}

bool profile_there(const char *site_dir, const char *name)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/profiles/%s.conf", site_dir, name);
    return file_exists(path);
}

enum err profile_load(const char *site_dir, const char *name, struct profile *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(PROFILE_FILE_MAX);
    char path[PATH_MAX_LEN];
    path_join(path, "%s/profiles/%s.conf", site_dir, name);
    enum err e = file_read(path, &text);
    if (e)
        return fault_set(f, e, "profile %s: %s", path, err_text(e));
    return profile_parse(name, buf_span(&text), out, f);
}

/* -- defaults --------------------------------------------------------------------------------------------------- */

static void put_escaped(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c < ' ' || strchr(",=+{}\\#\";<>", c))
            buf_printf(out, "\\%02x", c);
        else
            buf_put_u8(out, c);
    }
}

struct profile_default {
    const char *name, *about, *subject, *san_uri, *ca, *validity, *validity_max;
};
static const struct profile_default defaults[] = {
    { "device", "devices", "CN={uid}, serialNumber={serial}", "urn:cradle:{line}:{uid}", "device", "2y", "10y" },
    { "operator", "operators, stations, auditors and edges", "CN={uid}, OU={role}", "urn:cradle:{role}:{uid}", "infra", "1y", "2y" },
};

static void idevid_default_text(struct span org, struct buf *out)
{
    buf_put_str(out, "# Certificate profile for initial device identities (IDevIDs, IEEE 802.1AR): they let a device enroll (EST label LINE.idevid makes one, on\n"
                     "# the line) and do nothing else. The signer reads it at start and refuses what it forbids.\n\n"
                     "# The registered serial number must be in the subject.\nsubject = CN={uid}, serialNumber={serial}");
    if (org.n) {
        buf_put_str(out, ", O=");
        put_escaped(out, org);
    }
    buf_put_str(out, "\nsan_uri =\n"
                     "# A CA of their own (cradle ca create NAME --use idevid); as long as none is active, the CA for devices makes them. device: always that.\nca = idevid\n"
                     "key_algs = ec:P-256 ec:P-384\n"
                     "# For the life of the hardware: notAfter is 99991231235959Z, and no URL is in it that would have to answer so long.\nno_end = yes\nurls = no\n"
                     "# no: its extended key usage is one of cradle's own, so that TLS servers refuse it as a client. yes: clientAuth, for networks of others that\n"
                     "# take IDevIDs; then every TLS server that trusts the CA must look for the hardwareModuleName itself.\nclient_auth = no\nserver_auth = no\n"
                     "# Hardware type in the hardwareModuleName (RFC 4108): an OBJECT IDENTIFIER of yours. What stands here was made at random for this site\n"
                     "# (2.25 and a UUID, X.667), so it is nobody else's.\n");
}

bool profile_default_text(const char *name, struct span org, struct buf *out)
{
    if (strcmp(name, PROFILE_IDEVID) == 0) {
        idevid_default_text(org, out);
        return true;
    }
    const struct profile_default *d = NULL;
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
        if (strcmp(defaults[i].name, name) == 0)
            d = &defaults[i];
    if (!d)
        return false;
    buf_printf(out, "# Certificate profile for %s. The signer reads it at start and refuses what it forbids.\n\n", d->about);
    buf_put_str(out, "# Subject. {uid} {serial} {line} {role} are filled in; an attribute with an empty value is left out.\n"
                     "# A backslash and two hex digits stand for a character that the syntax takes: \\2c is a comma.\n");
    buf_printf(out, "subject = %s", d->subject);
    if (org.n) {
        buf_put_str(out, ", O=");
        put_escaped(out, org);
    }
    buf_printf(out, "\n# URI subject alternative name; empty for none.\nsan_uri = %s\n", d->san_uri);
    buf_printf(out, "# Issuing CA: device or infra.\nca = %s\n", d->ca);
    buf_put_str(out, "# Public keys that are accepted: ec:P-256 ec:P-384 ed25519 rsa:3072 (that size or more).\nkey_algs = ec:P-256 ec:P-384 ed25519\n");
    buf_printf(out, "# Lifetime (a product line may name its own), and the longest that the signer accepts.\n"
                    "validity_s = %s\nvalidity_max_s = %s\n", d->validity, d->validity_max);
    buf_put_str(out, "# notBefore lies this far in the past, for clocks that are slow.\nbackdate_s = 300\n"
                     "# The renewal window begins after this part of life, in percent.\nrenew_at_pct = 67\n"
                     "# Extended key usage.\nclient_auth = yes\nserver_auth = no\n");
    return true;
}

struct key_policy profile_key_policy(const struct profile *p) { return (struct key_policy){ .algs = p->key_algs, .exponent_any = p->rsa_exponent_any }; }

int64_t profile_renew_at(const struct profile *p, int64_t not_before, int64_t not_after)
{
    return not_before + (not_after - not_before) / 100 * p->renew_at_pct;
}

int64_t profile_validity(const struct profile *p, int64_t asked_s)
{
    int64_t v = asked_s > 0 ? asked_s : p->validity_s;
    return v < p->validity_max_s ? v : p->validity_max_s;
}
