/* crypt_site.h: a whole small site for tests, in memory and as files: root, device and infra CAs with OCSP responders, log and
 * stream keys, profiles. Judged by crypt_issue.c; used by whoever needs a signer in process. */
#ifndef CRADLE_T_CRYPT_SITE_H
#define CRADLE_T_CRYPT_SITE_H
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "crypt/ca.h"
#include "crypt/ed25519.h"
#include "crypt/issue.h"
#include "crypt/pem.h"
#include "crypt/profile.h"
#include "wire/note.h"

#define SITE_URL "http://127.0.0.1:8001"
#define SITE_DAY 86400

static inline void site_must(enum err e, const struct fault *f, const char *what)
{
    if (e) {
        printf("Bail out! %s: %s: %s\n", what, err_name(e), f ? f->text : "");
        exit(1);
    }
}

static inline void site_write(const char *dir, const char *name, struct span bytes, mode_t mode)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s", dir, name);
    site_must(file_write_atomic(path, bytes, mode), NULL, path);
}

static inline void site_write_cert(const char *dir, const char *name, struct span der)
{
    struct buf pem = BUF_INIT(0);
    pem_encode("CERTIFICATE", der, &pem);
    site_write(dir, name, buf_span(&pem), 0644);
    buf_free(&pem);
}

static inline struct key *site_key(const char *dir, const char *name, const char *alg)
{
    struct key *k;
    struct fault f = { .code = CE_OK };
    struct buf pem = BUF_INIT(0);
    site_must(key_generate(alg, &k, &f), &f, name);
    site_must(key_write_pem(k, NULL, &pem), NULL, name);
    site_write(dir, name, buf_span(&pem), 0600);
    buf_free(&pem);
    return k;
}

/* One issuing CA with its OCSP responder below root. */
static inline void site_issuing(const char *dir, struct ca *root, const char *name, bool server_auth, unsigned n_shards, struct buf *bundle)
{
    char path[128];
    struct fault f = { .code = CE_OK };
    struct buf der = BUF_INIT(0), ocsp = BUF_INIT(0);
    struct ca ca;
    int64_t now = clock_now_s();
    snprintf(path, sizeof path, "keys/%s.key", name);
    struct key *k = site_key(dir, path, "ec:P-256");
    struct issue_spec spec = { .cn = name, .org = "Test Works", .spki = key_spki(k), .not_before = now - SITE_DAY,
                               .not_after = now + 3650 * (int64_t)SITE_DAY };
    site_must(issue_issuing(root, &spec, server_auth, &der, &f), &f, name);
    site_must(ca_open(&ca, name, buf_span(&der), k, SITE_URL, n_shards, &f), &f, name);
    snprintf(path, sizeof path, "ca/%s.pem", name);
    site_write_cert(dir, path, buf_span(&der));
    pem_encode("CERTIFICATE", buf_span(&der), bundle);
    snprintf(path, sizeof path, "keys/%s-ocsp.key", name);
    struct key *ok = site_key(dir, path, "ec:P-256");
    spec.cn = "ocsp";
    spec.spki = key_spki(ok);
    site_must(issue_ocsp(&ca, &spec, &ocsp, &f), &f, "ocsp");
    snprintf(path, sizeof path, "ca/%s-ocsp.pem", name);
    site_write_cert(dir, path, buf_span(&ocsp));
    key_free(ok);
    ca_close(&ca);
    buf_free(&der);
    buf_free(&ocsp);
}

static inline void site_log_key(const char *dir)
{
    struct key *k = site_key(dir, "keys/log.key", "ed25519");
    struct note_key nk;
    struct fault f = { .code = CE_OK };
    struct buf text = BUF_INIT(0);
    uint8_t pub[32];
    site_must(ed25519_public(k, pub), NULL, "log key");
    site_must(note_key_make(&nk, SPAN_LIT("log.example/site"), pub, &f), &f, "log key");
    note_key_put(&nk, &text);
    site_write(dir, "trust/log.pub", buf_span(&text), 0644);
    buf_free(&text);
    key_free(k);
    k = site_key(dir, "keys/stream.key", "ed25519");
    site_must(ed25519_public(k, pub), NULL, "stream key");
    buf_put_base64(&text, span_of(pub, 32), 0);
    site_write(dir, "trust/stream.pub", buf_span(&text), 0644);
    buf_free(&text);
    key_free(k);
}

/* Makes a site in a new folder; the caller removes it with site_remove. root is left open for the caller to close. */
static inline void site_make(char dir[64], struct ca *root, unsigned n_shards)
{
    static const char *const folders[] = { "ca", "keys", "trust", "profiles" };
    struct fault f = { .code = CE_OK };
    struct buf der = BUF_INIT(0), bundle = BUF_INIT(0);
    int64_t now = clock_now_s();
    snprintf(dir, 64, "/tmp/cradle-site-XXXXXX");
    if (!mkdtemp(dir))
        exit(1);
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        char path[PATH_MAX_LEN];
        path_join(path, "%s/%s", dir, folders[i]);
        site_must(file_mkdirs(path, 0700), NULL, path);
    }
    struct key *k;
    site_must(key_generate("ec:P-256", &k, &f), &f, "root key");
    struct issue_spec spec = { .cn = "Test Root", .org = "Test Works", .not_before = now - SITE_DAY, .not_after = now + 7300 * (int64_t)SITE_DAY };
    site_must(issue_root(k, &spec, &der, &f), &f, "root");
    site_must(ca_open(root, "root", buf_span(&der), k, SITE_URL, 1, &f), &f, "root");
    site_write_cert(dir, "ca/root.pem", buf_span(&der));
    pem_encode("CERTIFICATE", buf_span(&der), &bundle);
    site_issuing(dir, root, "device", false, n_shards, &bundle);
    site_issuing(dir, root, "infra", true, n_shards, &bundle);
    site_write(dir, "ca/bundle.pem", buf_span(&bundle), 0644);
    site_log_key(dir);
#ifdef SITE_UPDATES /* the online keys of updates */
    key_free(site_key(dir, "keys/tuf-snapshot.key", "ec:P-256"));
    key_free(site_key(dir, "keys/tuf-timestamp.key", "ec:P-256"));
    key_free(site_key(dir, "keys/directive.key", "ec:P-256"));
#endif
    for (int i = 0; i < 2; i++) {
        struct buf text = BUF_INIT(0);
        profile_default_text(i ? "operator" : "device", SPAN_LIT("Test, Works"), &text);
        site_write(dir, i ? "profiles/operator.conf" : "profiles/device.conf", buf_span(&text), 0644);
        buf_free(&text);
    }
    buf_free(&der);
    buf_free(&bundle);
}

/* Runs a shell command made from fmt; true when it exits with 0. Its output goes to stderr. */
static inline bool site_sh(const char *fmt, ...) PRINTF_LIKE(1, 2);
static inline bool site_sh(const char *fmt, ...)
{
    char cmd[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(cmd, sizeof cmd, fmt, ap);
    va_end(ap);
    fflush(stdout);
    return system(cmd) == 0;
}

static inline void site_remove(const char *dir) { site_sh("rm -rf '%s'", dir); }
#endif
