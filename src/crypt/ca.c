/* ca.c: see ca.h. */
#include "crypt/ca.h"

#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypt/key_gate.h"
#include "crypt/hash.h"

static enum err ca_judge(struct ca *ca, struct fault *f)
{
    struct spki_info k;
    if (!ca->cert.is_ca || !(ca->cert.key_usage & KU_CERT_SIGN) || ca->cert.ski.n != 20)
        return fault_set(f, CE_BAD_CERT, "certificate of CA %s: it is not a CA certificate with keyCertSign and a 20-byte key identifier", ca->name);
    enum err e = key_gate(ca->cert.spki, NULL, &k, f);
    if (e)
        return e;
    if (ca->key && !span_eq(key_spki(ca->key), ca->cert.spki))
        return fault_set(f, CE_BAD_CERT, "the key of CA %s does not belong to its certificate", ca->name);
    sha1(ca->cert.subject, ca->name_sha1);
    sha256(ca->cert.subject, ca->name_sha256);
    sha1(k.key, ca->key_sha1);
    sha256(k.key, ca->key_sha256);
    e = pubkey_open(ca->cert.spki, &ca->pub);
    if (!e && ca->key)
        pubkey_prepare(ca->pub, ca->cert.spki);
    return e;
}

enum err ca_open(struct ca *ca, const char *name, struct span cert_der, struct key *key, const char *base_url, unsigned n_shards,
                 struct fault *f)
{
    *ca = (struct ca){ .key = key, .n_shards = n_shards, .use = ca_use_find(span_str(name)) };
    enum err e = CE_OK;
    if (span_to_cstr(span_str(name), ca->name, sizeof ca->name) || span_to_cstr(span_str(base_url), ca->base_url, sizeof ca->base_url))
        e = fault_set(f, CE_BAD_CONFIG, "the name or base URL of CA %s is too long", name);
    else if (n_shards < 1 || n_shards > CA_SHARDS_MAX)
        e = fault_set(f, CE_BAD_CONFIG, "the number of CRL shards must be 1 to %d", CA_SHARDS_MAX);
    if (!e) {
        buf_put_span(&ca->der, cert_der);
        e = cert_parse(buf_span(&ca->der), &ca->cert, f);
    }
    if (!e)
        e = ca_judge(ca, f);
    if (e)
        ca_close(ca);
    return e;
}

/* A CA that `cradle init` made has no such file: it is named after its use. */
static enum err ca_load_use(struct ca *ca, const char *site_dir, struct fault *f)
{
    CLEANUP(buf_free) struct buf word = BUF_INIT(64);
    char path[PATH_MAX_LEN];
    path_join(path, "%s/ca/%s.use", site_dir, ca->name);
    enum err e = file_exists(path) ? file_read(path, &word) : CE_OK;
    if (e || !word.len)
        return e ? fault_set(f, e, "%s: %s", path, err_text(e)) : CE_OK;
    ca->use = ca_use_find(span_trim(buf_span(&word)));
    return ca->use ? CE_OK : fault_set(f, CE_BAD_CONFIG, "%s: what the CA is used for is one word: device, infra or idevid", path);
}

static enum err ca_load_ocsp(struct ca *ca, const char *site_dir, const struct key_source *keys, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/ca/%s-ocsp.pem", site_dir, ca->name);
    enum err e = cert_load(path, &ca->ocsp_der, &ca->ocsp_cert, f);
    if (e)
        return e;
    if (cert_check_issued(&ca->ocsp_cert, &ca->cert) || !(ca->ocsp_cert.eku & EKU_OCSP_SIGNING))
        return fault_set(f, CE_BAD_CERT, "%s is not an OCSP responder certificate of CA %s", path, ca->name);
    char name[LABEL_MAX + 8];
    snprintf(name, sizeof name, "%s-ocsp", ca->name);
    e = keys->open(keys->ctx, site_dir, name, &ca->ocsp_key, f);
    if (e)
        return e;
    if (ca->ocsp_key && !span_eq(key_spki(ca->ocsp_key), ca->ocsp_cert.spki))
        return fault_set(f, CE_BAD_CERT, "the OCSP key of CA %s does not belong to its certificate", ca->name);
    e = pubkey_open(ca->ocsp_cert.spki, &ca->ocsp_pub);
    if (!e)
        pubkey_prepare(ca->ocsp_pub, ca->ocsp_cert.spki);
    return e;
}

enum err ca_load(struct ca *ca, const char *site_dir, const char *name, const char *base_url, unsigned n_shards, const struct key_source *keys,
                 struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    CLEANUP(key_free_p) struct key *key = NULL;
    char path[PATH_MAX_LEN];
    struct cert unused;
    *ca = (struct ca){ .n_shards = 0 };
    path_join(path, "%s/ca/%s.pem", site_dir, name);
    enum err e = cert_load(path, &der, &unused, f);
    if (!e && keys)
        e = keys->open(keys->ctx, site_dir, name, &key, f);
    if (e)
        return e;
    e = ca_open(ca, name, buf_span(&der), key, base_url, n_shards, f);
    key = NULL;
    if (!e)
        e = ca_load_use(ca, site_dir, f);
    if (!e && keys)
        e = ca_load_ocsp(ca, site_dir, keys, f);
    if (e)
        ca_close(ca);
    return e;
}

void ca_close(struct ca *ca)
{
    pubkey_free(ca->pub);
    pubkey_free(ca->ocsp_pub);
    key_free(ca->key);
    key_free(ca->ocsp_key);
    buf_free(&ca->der);
    buf_free(&ca->ocsp_der);
    *ca = (struct ca){ .n_shards = 0 };
}

unsigned crl_shard_of(struct span serial, unsigned n_shards)
{
    unsigned low = serial.n ? serial.p[serial.n - 1] : 0;
    if (serial.n > 1)
        low |= (unsigned)serial.p[serial.n - 2] << 8;
    return low % n_shards;
}

unsigned ca_shard(const struct ca *ca, struct span serial) { return crl_shard_of(serial, ca->n_shards); }

/* n: what snprintf made of a URL. base_url and name are bounded, so it always fits. */
static void url_fits(int n) { INVARIANT(n > 0 && n < CA_URL_OUT); }

void ca_url_crl(const struct ca *ca, unsigned shard, char *out)
{
    url_fits(snprintf(out, CA_URL_OUT, "%s/crl/%s/%u.crl", ca->base_url, ca->name, shard));
}

void ca_url_cert(const struct ca *ca, char *out) { url_fits(snprintf(out, CA_URL_OUT, "%s/ca/%s.cer", ca->base_url, ca->name)); }
void ca_url_ocsp(const struct ca *ca, char *out) { url_fits(snprintf(out, CA_URL_OUT, "%s/ocsp", ca->base_url)); }
