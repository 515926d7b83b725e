/* init_pki.c: the keys and certificates of a new site. Every private key is written once, 0600, and forgotten. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/init.h"
#include "crypt/crl.h"
#include "crypt/ed25519.h"
#include "crypt/issue.h"
#include "crypt/pem.h"
#include "token/key_file.h"
#include "wire/note.h"

#define ROOT_CRL_S (366LL * 86400)
#define BACKDATE_S 300

static void say_until(const struct init *in, const char *what, const char *where, int64_t until_s)
{
    char text[CLOCK_TEXT_MAX];
    clock_text_s(until_s, text);
    cli_say(in->c, "made %-38s %s%-26s until %.10s%s", what, cli_tint(in->c, TINT_DIM), where, text, cli_tint(in->c, TINT_NONE));
}

/* A new key at keys/NAME.key (or another file), owned by the caller. */
static enum err make_key(struct init *in, const char *file, const char *alg, struct key **out, struct fault *f)
{
    enum err e = key_generate(alg, out, f);
    CLEANUP(buf_free) struct buf pem = BUF_INIT(16384);
    if (!e && (e = key_write_pem(*out, NULL, &pem)))
        e = fault_set(f, e, "cannot encode the key %s", file);
    return e ? e : init_put(in, file, buf_span(&pem), 0600, f);
}

/* keys/NAME.key, or keys/NAME.uri and the key in the token. */
static enum err make_online_key(struct init *in, const char *name, const char *alg, bool in_token, struct key **out, struct fault *f)
{
    char file[80], label[LABEL_MAX * 2 + 2];
    struct token_info where;
    snprintf(file, sizeof file, "keys/%.60s.key", name);
    if (!in_token)
        return make_key(in, file, alg, out, f);
    snprintf(label, sizeof label, "%s-%s", in->name, name);
    if (init_interrupted())
        return fault_set(f, CE_IO, "interrupted; nothing was made");
    enum err e = key_make_at(in->tmp, name, alg, in->ca_pkcs11, label, out, &where, f);
    if (!e)
        cli_say(in->c, "key  %-38s %sin token %s, serial %s, %s%s", label, cli_tint(in->c, TINT_DIM), where.label, where.serial, where.manufacturer,
                cli_tint(in->c, TINT_NONE));
    return e;
}

static enum err put_ca(struct init *in, const char *name, struct span der, struct fault *f)
{
    char pem[64], cer[64];
    snprintf(pem, sizeof pem, "ca/%s.pem", name);
    snprintf(cer, sizeof cer, "pub/ca/%s.cer", name);
    enum err e = init_put_pem(in, pem, "CERTIFICATE", der, 0644, f);
    return e ? e : init_put(in, cer, der, 0644, f);
}

static enum err root_key(struct init *in, struct key **out, struct fault *f)
{
    if (in->pkcs11) {
        enum err e = secret_token_key(in->pkcs11, in->ca_alg, out, NULL, f);
        CLEANUP(buf_free) struct buf line = BUF_INIT(4096);
        buf_printf(&line, "%s\n", in->pkcs11);
        return e ? e : init_put(in, "offline/root.uri", buf_span(&line), 0600, f);
    }
    enum err e = key_generate(in->ca_alg, out, f);
    CLEANUP(buf_free) struct buf pem = BUF_INIT(16384);
    if (!e && (e = key_write_pem(*out, in->secret, &pem)))
        e = fault_set(f, e, "cannot encrypt the root key");
    mem_zero(in->secret, sizeof in->secret);
    return e ? e : init_put(in, "offline/root.key", buf_span(&pem), 0600, f);
}

static enum err make_root(struct init *in, struct fault *f)
{
    struct key *key = NULL;
    enum err e = root_key(in, &key, f);
    char cn[96];
    snprintf(cn, sizeof cn, "%s Root CA", in->name);
    struct issue_spec spec = { .cn = cn, .org = in->org, .not_before = in->now_s - BACKDATE_S, .not_after = in->now_s + in->root_s };
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    if (!e)
        e = issue_root(key, &spec, &der, f);
    if (e) {
        key_free(key);
        return e;
    }
    if ((e = ca_open(&in->root, "root", buf_span(&der), key, in->base_url, 1, f)) || (e = put_ca(in, "root", buf_span(&der), f)))
        return e;
    say_until(in, "root CA", in->pkcs11 ? "offline/root.uri" : "offline/root.key", spec.not_after);
    struct crl_request r = { .number = 1, .this_update = in->now_s, .next_update = in->now_s + ROOT_CRL_S };
    if (r.next_update > spec.not_after)
        r.next_update = spec.not_after;
    CLEANUP(buf_free) struct buf crl = BUF_INIT(CERT_MAX);
    if ((e = crl_build(&in->root, &r, &crl, f)) || (e = init_put(in, "pub/crl/root/0.crl", buf_span(&crl), 0644, f)))
        return e;
    say_until(in, "CRL of the root CA", "pub/crl/root/0.crl", r.next_update);
    return CE_OK;
}

static enum err make_ocsp(struct init *in, struct ca *ca, struct fault *f)
{
    char file[64], pem[64], cn[128];
    snprintf(file, sizeof file, "%.40s-ocsp", ca->name);
    snprintf(pem, sizeof pem, "ca/%.40s-ocsp.pem", ca->name);
    snprintf(cn, sizeof cn, "%s %s OCSP", in->name, ca->name);
    CLEANUP(key_free_p) struct key *key = NULL;
    enum err e = make_online_key(in, file, in->ca_alg, in->ocsp_in_token, &key, f);
    if (e)
        return e;
    struct issue_spec spec = { .cn = cn, .org = in->org, .spki = key_spki(key), .not_before = in->now_s - BACKDATE_S,
                               .not_after = in->now_s + in->server_s };
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    if ((e = issue_ocsp(ca, &spec, &der, f)) || (e = init_put_pem(in, pem, "CERTIFICATE", buf_span(&der), 0644, f)))
        return e;
    say_until(in, "OCSP responder", pem, spec.not_after);
    return CE_OK;
}

static enum err make_issuing(struct init *in, struct ca *ca, const char *name, const char *title, bool server_auth, struct fault *f)
{
    char file[64], cn[96], what[64];
    snprintf(file, sizeof file, "keys/%s.%s", name, in->ca_pkcs11 ? "uri" : "key");
    snprintf(cn, sizeof cn, "%s %s CA", in->name, title);
    snprintf(what, sizeof what, "issuing CA (%s)", name);
    struct key *key = NULL;
    enum err e = make_online_key(in, name, in->ca_alg, in->ca_pkcs11 != NULL, &key, f);
    struct issue_spec spec = { .cn = cn, .org = in->org, .not_before = in->now_s - BACKDATE_S, .not_after = in->now_s + in->ca_s };
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    if (!e) {
        spec.spki = key_spki(key);
        e = issue_issuing(&in->root, &spec, server_auth, &der, f);
    }
    if (e) {
        key_free(key);
        return e;
    }
    if ((e = ca_open(ca, name, buf_span(&der), key, in->base_url, INIT_SHARDS, f)) || (e = put_ca(in, name, buf_span(&der), f)))
        return e;
    say_until(in, what, file, spec.not_after);
    return make_ocsp(in, ca, f);
}

/* bundle.pem: root and issuing CAs, what peers verify against. */
static enum err make_bundle(struct init *in, struct fault *f)
{
    CLEANUP(buf_free) struct buf pem = BUF_INIT(65536);
    const struct ca *all[] = { &in->root, &in->device, &in->infra };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        pem_encode("CERTIFICATE", all[i]->cert.der, &pem);
    return init_put(in, "ca/bundle.pem", buf_span(&pem), 0644, f);
}

static enum err put_chain(struct init *in, const char *file, struct span der, struct fault *f)
{
    CLEANUP(buf_free) struct buf pem = BUF_INIT(65536);
    pem_encode("CERTIFICATE", der, &pem);
    pem_encode("CERTIFICATE", in->infra.cert.der, &pem);
    return init_put(in, file, buf_span(&pem), 0644, f);
}

static enum err make_server(struct init *in, struct fault *f)
{
    CLEANUP(key_free_p) struct key *key = NULL;
    enum err e = make_key(in, "tls/server.key", "ec:P-256", &key, f);
    if (e)
        return e;
    char cn[65];
    snprintf(cn, sizeof cn, "%.64s", in->host);
    struct issue_spec spec = { .cn = cn, .org = in->org, .spki = key_spki(key), .not_before = in->now_s - BACKDATE_S,
                               .not_after = in->now_s + in->server_s };
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    if ((e = issue_tls(&in->infra, &spec, in->hosts, &der, f)) || (e = put_chain(in, "tls/server.pem", buf_span(&der), f)))
        return e;
    say_until(in, "TLS server certificate", "tls/server.pem", spec.not_after);
    return CE_OK;
}

/* The log's verifier key (signed-note vkey) and the stream's public key, for everybody. */
static enum err make_trust(struct init *in, struct fault *f)
{
    CLEANUP(key_free_p) struct key *log = NULL;
    CLEANUP(key_free_p) struct key *stream = NULL;
    uint8_t pub[ED25519_PUB];
    struct note_key nk;
    enum err e = make_online_key(in, "log", "ed25519", in->log_in_token, &log, f);
    if (e || (e = make_key(in, "keys/stream.key", "ed25519", &stream, f)))
        return e;
    if ((e = ed25519_public(log, pub)))
        return fault_set(f, e, "cannot read the public half of the log key");
    if ((e = note_key_make(&nk, span_str(in->origin), pub, f)))
        return e;
    CLEANUP(buf_free) struct buf text = BUF_INIT(1024);
    note_key_put(&nk, &text);
    snprintf(in->vkey, sizeof in->vkey, "%s", buf_cstr(&text));
    buf_put_u8(&text, '\n');
    if ((e = init_put(in, "trust/log.pub", buf_span(&text), 0644, f)))
        return e;
    if ((e = ed25519_public(stream, pub)))
        return fault_set(f, e, "cannot read the public half of the stream key");
    buf_reset(&text);
    buf_put_base64(&text, span_of(pub, sizeof pub), 0);
    buf_put_u8(&text, '\n');
    e = init_put(in, "trust/stream.pub", buf_span(&text), 0644, f);
    if (!e)
        cli_say(in->c, "made %-38s %strust/log.pub, trust/stream.pub%s", "keys of evidence log and stream", cli_tint(in->c, TINT_DIM),
                cli_tint(in->c, TINT_NONE));
    return e;
}

/* Keys of the online roles of updates (TUF snapshot and timestamp, directives); a release ceremony names their public halves. */
static enum err make_update_keys(struct init *in, struct fault *f)
{
    static const char *const names[] = { "tuf-snapshot", "tuf-timestamp", "directive" };
    enum err e = CE_OK;
    for (size_t i = 0; !e && i < ARRAY_LEN(names); i++) {
        char file[64];
        CLEANUP(key_free_p) struct key *key = NULL;
        snprintf(file, sizeof file, "keys/%s.key", names[i]);
        e = make_key(in, file, "ec:P-256", &key, f);
        snprintf(file, sizeof file, "trust/%s.pub", names[i]);
        e = e ? e : init_put_pem(in, file, "PUBLIC KEY", key_spki(key), 0644, f);
    }
    if (!e)
        cli_say(in->c, "made %-38s %strust/tuf-snapshot.pub, tuf-timestamp.pub, directive.pub%s", "keys of the online update roles", cli_tint(in->c, TINT_DIM),
                cli_tint(in->c, TINT_NONE));
    return e;
}

/* What signs the answers of CMP. */
static enum err make_cmp(struct init *in, struct fault *f)
{
    char cn[96];
    snprintf(cn, sizeof cn, "%s CMP", in->name);
    CLEANUP(key_free_p) struct key *key = NULL;
    enum err e = make_online_key(in, "cmp", "ec:P-256", in->cmp_in_token, &key, f);
    if (e)
        return e;
    struct issue_spec spec = { .cn = cn, .org = in->org, .spki = key_spki(key), .not_before = in->now_s - BACKDATE_S, .not_after = in->now_s + in->server_s };
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    if ((e = issue_cmp(&in->infra, &spec, &der, f)) || (e = init_put_pem(in, "ca/cmp.pem", "CERTIFICATE", buf_span(&der), 0644, f)))
        return e;
    say_until(in, "signer of CMP answers", "ca/cmp.pem", spec.not_after);
    return CE_OK;
}

/* The first operator. It comes from no request, so birth.json carries it into the register. */
static enum err make_admin(struct init *in, struct fault *f)
{
    CLEANUP(key_free_p) struct key *key = NULL;
    struct profile p;
    uint8_t serial[ISSUE_SERIAL];
    enum err e = make_key(in, "operators/admin.key", "ec:P-256", &key, f);
    if (e || (e = profile_load(in->tmp, "operator", &p, f)))
        return e;
    if ((e = issue_serial(serial)))
        return fault_set(f, e, "no random bytes");
    struct issue_request r = { .serial = span_of(serial, sizeof serial), .spki = key_spki(key),
                               .values = { .uid = SPAN_LIT("admin"), .role = SPAN_LIT("admin") },
                               .not_before = in->now_s - p.backdate_s, .not_after = in->now_s + profile_validity(&p, 0) };
    if (r.not_after > in->infra.cert.not_after)
        r.not_after = in->infra.cert.not_after;
    in->admin_der = BUF_INIT(CERT_MAX);
    if ((e = issue_leaf(&in->infra, &p, &r, &in->admin_der, f)) || (e = put_chain(in, "operators/admin.pem", buf_span(&in->admin_der), f)))
        return e;
    say_until(in, "first operator 'admin'", "operators/admin.pem", r.not_after);
    return CE_OK;
}

enum err init_pki(struct init *in, struct fault *f)
{
    enum err e = make_root(in, f);
    if (e || (e = make_issuing(in, &in->device, "device", "Device", false, f)) ||
        (e = make_issuing(in, &in->infra, "infra", "Infra", true, f)) || (e = make_bundle(in, f)) || (e = make_server(in, f)) ||
        (e = make_cmp(in, f)) || (e = make_trust(in, f)) || (e = make_update_keys(in, f)))
        return e;
    return make_admin(in, f);
}
