/* crypto_policy.c: until when an algorithm is good. See crypto.h. */
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/crypto.h"

#define DAY_S 86400
#define STRONG_RSA_BITS 3072 /* 128 bits of strength (NIST SP 800-57 part 1, table 2) */
#define POLICY_FILE_MAX 65536

static const struct config_key policy_keys[] = {
#define CFG(...) CONFIG_ROW(crypto_policy_text, __VA_ARGS__)
#include "cli/crypto.def"
#undef CFG
};

bool crypto_date(const char *text, int64_t *end_s)
{
    char full[40];
    int64_t at_ms;
    if (strcmp(text, "never") == 0) {
        *end_s = CRYPTO_NEVER;
        return true;
    }
    if (strlen(text) != strlen("YYYY-MM-DD"))
        return false;
    snprintf(full, sizeof full, "%sT00:00:00Z", text);
    if (clock_parse_ms(span_str(full), &at_ms))
        return false;
    *end_s = at_ms / 1000 + DAY_S - 1;
    return true;
}

const char *crypto_date_text(int64_t end_s, char out[32])
{
    if (end_s == CRYPTO_NEVER)
        snprintf(out, 32, "never");
    else
        clock_text_s(end_s, out);
    out[strcspn(out, "T")] = 0;
    return out;
}

enum err crypto_policy_load(const char *path, struct crypto_policy *out, struct fault *f)
{
    struct crypto_policy_text t;
    enum err e = path ? config_load(policy_keys, ARRAY_LEN(policy_keys), path, &t, f)
                      : config_parse(policy_keys, ARRAY_LEN(policy_keys), "policy", (struct span){ 0 }, &t, f);
    const struct { const char *key, *text; int64_t *to; } rows[] = {
        { "weak_until", t.weak_until, &out->weak },          { "rsa_until", t.rsa_until, &out->rsa },          { "ecdsa_until", t.ecdsa_until, &out->ecdsa },
        { "ed25519_until", t.ed25519_until, &out->ed25519 }, { "ml_dsa_until", t.ml_dsa_until, &out->ml_dsa }, { "other_until", t.other_until, &out->other },
    };
    for (size_t i = 0; !e && i < ARRAY_LEN(rows); i++)
        if (!crypto_date(rows[i].text, rows[i].to))
            e = fault_set(f, CE_BAD_CONFIG, "%s: %s is a date (YYYY-MM-DD) or never, not '%.40s'", path ? path : "policy", rows[i].key, rows[i].text);
    return e;
}

int64_t crypto_until(const struct crypto_policy *p, const char *alg)
{
    int64_t bits;
    if (strncmp(alg, "rsa:", 4) == 0)
        return span_to_i64(span_str(alg + 4), &bits) && bits < STRONG_RSA_BITS ? p->weak : p->rsa;
    const struct { const char *prefix; int64_t until; } rows[] = {
        { "ec:", p->ecdsa }, { "ecdsa-", p->ecdsa }, { "rsa-", p->rsa }, { "ed25519", p->ed25519 }, { "ml-dsa-", p->ml_dsa },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strncmp(alg, rows[i].prefix, strlen(rows[i].prefix)) == 0)
            return rows[i].until;
    return p->other;
}
