/* ca_files.c: see ca_files.h. */
#include "cli/ca_files.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/secret.h"
#include "crypt/pem.h"
#include "token/key_file.h"

#define BUNDLE_MAX (1u << 20)
#define RELOAD_WAIT_MS 60000

enum err root_key_open(struct cli *c, const char *name, bool is_new, struct key **key, struct fault *f)
{
    char path[PATH_MAX_LEN], secret[SECRET_MAX];
    const char *given = is_new ? NULL : cli_opt(c, "--key"), *pass = is_new ? cli_opt(c, "--new-passphrase-file") : NULL;
    CLEANUP(buf_free) struct buf uri = BUF_INIT(4096);
    path_join(path, "%s/offline/%s.uri", c->site, name);
    if (!given && file_read(path, &uri) == CE_OK) {
        uri.len = span_trim(buf_span(&uri)).n;
        return secret_token_key(buf_cstr(&uri), NULL, key, NULL, f);
    }
    if (given && strlen(given) >= PATH_MAX_LEN)
        return fault_set(f, CE_USAGE, "--key is too long");
    if (given)
        path_join(path, "%s", given);
    else
        path_join(path, "%s/offline/%s.key", c->site, name);
    if (!file_exists(path))
        return fault_set(f, CE_NOT_FOUND, "the key of root %s is not at %s: bring it and give --key FILE", name, path);
    enum err e = secret_read(pass ? pass : cli_opt(c, "--passphrase-file"), false, secret, f);
    if (!e)
        e = key_read_file(path, secret, key, f);
    mem_zero(secret, sizeof secret);
    return e;
}

static enum err ceremony_begin(struct ceremony *x, struct cli *c, const char *root, bool with_key, bool is_new, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    char path[PATH_MAX_LEN];
    struct cert cert;
    struct key *key = NULL;
    int64_t shards = 0;
    *x = (struct ceremony){ .c = c, .now_s = clock_now_s() };
    enum err e = site_http_url(c->site, x->url, &shards, f);
    path_join(path, "%s/ca/%s.pem", c->site, root);
    e = e ? e : cert_load(path, &der, &cert, f);
    if (!e && with_key)
        e = root_key_open(c, root, is_new, &key, f);
    if (e)
        return e;
    x->n_shards = (unsigned)shards;
    if (span_to_cstr(cert.o, x->org, sizeof x->org))
        x->org[0] = 0;
    static const char tail[] = " Root CA";
    struct span name = cert.cn;
    if (name.n > sizeof tail - 1 && memcmp(name.p + name.n - (sizeof tail - 1), tail, sizeof tail - 1) == 0)
        name.n -= sizeof tail - 1;
    if (span_to_cstr(name, x->site, sizeof x->site))
        snprintf(x->site, sizeof x->site, "site");
    return ca_open(&x->root, root, buf_span(&der), key, x->url, 1, f);
}

enum err ceremony_open(struct ceremony *x, struct cli *c, const char *root, bool is_new, struct fault *f)
{
    return ceremony_begin(x, c, root, true, is_new, f);
}

enum err ceremony_open_lost(struct ceremony *x, struct cli *c, const char *root, struct fault *f) { return ceremony_begin(x, c, root, false, false, f); }

void ceremony_close(struct ceremony *x) { ca_close(&x->root); }

/* -- files ---------------------------------------------------------------------------------------------------------------------------- */
/* The service may run as somebody else than the person who makes the CA: what is new belongs to whom the keys belong. */
static enum err owner_set(struct cli *c, const char *path, struct fault *f)
{
    char keys[PATH_MAX_LEN];
    struct stat st;
    path_join(keys, "%s/keys", c->site);
    if (geteuid() != 0)
        return CE_OK;
    if (stat(keys, &st) || chown(path, st.st_uid, st.st_gid))
        return fault_set(f, err_from_errno(errno), "%s: its owner cannot be set: %s", path, strerror(errno));
    return CE_OK;
}

enum err ca_put(struct cli *c, const char *file, struct span data, unsigned mode, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s", c->site, file);
    enum err e = file_write_atomic(path, data, (mode_t)mode);
    if (e)
        return fault_set(f, e, "%s cannot be written: %s", path, strerror(errno));
    return owner_set(c, path, f);
}

enum err ca_put_key(struct cli *c, const char *file, struct key *key, const char *secret, struct fault *f)
{
    CLEANUP(buf_free) struct buf pem = BUF_INIT(16384);
    enum err e = key_write_pem(key, secret, &pem);
    e = e ? fault_set(f, e, "the key for %s cannot be encoded", file) : ca_put(c, file, buf_span(&pem), 0600, f);
    if (pem.len)
        mem_zero(pem.data, pem.len);
    return e;
}

/* What is made in a token belongs, with some modules (SoftHSM: files), to who made it, and the service's process must see it and may read the PIN: so root
 * makes it as the one whom the keys belong to. */
static enum err token_user_enter(struct cli *c, const char *uri, bool *changed, struct fault *f)
{
    char keys[PATH_MAX_LEN];
    struct stat st;
    path_join(keys, "%s/keys", c->site);
    *changed = false;
    if (!uri || geteuid() != 0)
        return CE_OK;
    if (stat(keys, &st))
        return fault_set(f, err_from_errno(errno), "%s: %s", keys, strerror(errno));
    if (st.st_uid == 0)
        return CE_OK;
    if (setegid(st.st_gid) || seteuid(st.st_uid))
        return fault_set(f, CE_UNSUPPORTED, "cannot become user %u, whose the keys are: %s", (unsigned)st.st_uid, strerror(errno));
    *changed = true;
    return CE_OK;
}

enum err ca_key_make(struct cli *c, const char *name, const char *alg, const char *uri, struct key **out, struct fault *f)
{
    char path[PATH_MAX_LEN];
    bool changed;
    struct fault why = { 0 };
    enum err e = token_user_enter(c, uri, &changed, f);
    if (e)
        return e;
    e = key_make_at(c->site, name, alg, uri, name, out, NULL, &why);
    INVARIANT(!changed || (seteuid(0) == 0 && setegid(0) == 0));
    if (e)
        return fault_set(f, e, "%s%s", why.text, changed ? " (as the user whom the service's keys belong to, see signer_user)" : "");
    path_join(path, "%s/keys/%s.%s", c->site, name, uri ? "uri" : "key");
    return owner_set(c, path, f);
}

static enum err put_pem(struct cli *c, const char *file, struct span der, struct fault *f)
{
    CLEANUP(buf_free) struct buf pem = BUF_INIT(65536);
    pem_encode("CERTIFICATE", der, &pem);
    return ca_put(c, file, buf_span(&pem), 0644, f);
}

enum err ca_put_cert(struct cli *c, const char *name, struct span der, struct fault *f)
{
    char file[96];
    snprintf(file, sizeof file, "pub/ca/%.60s.cer", name);
    enum err e = ca_put(c, file, der, 0644, f);
    snprintf(file, sizeof file, "ca/%.60s.pem", name);
    return e ? e : put_pem(c, file, der, f);
}

enum err ca_bundle_add(struct cli *c, struct span der, struct fault *f)
{
    CLEANUP(buf_free) struct buf all = BUF_INIT(BUNDLE_MAX), pem = BUF_INIT(65536);
    char path[PATH_MAX_LEN];
    path_join(path, "%s/ca/bundle.pem", c->site);
    enum err e = file_read(path, &all);
    if (e)
        return fault_set(f, e, "%s: %s", path, err_text(e));
    pem_encode("CERTIFICATE", der, &pem);
    if (memmem(all.data, all.len, pem.data, pem.len))
        return CE_OK;
    buf_put_span(&all, buf_span(&pem));
    return ca_put(c, "ca/bundle.pem", buf_span(&all), 0644, f);
}

/* -- the service ------------------------------------------------------------------------------------------------------------------------ */
/* A service that restarts its roles says "try again": that is what a run after a killed one meets. */
#define PATIENCE_MS 30000
static bool again(enum err e, int64_t end_ms)
{
    const struct timespec pause = { 0, 200000000 };
    if (!e || err_class(e) != ERRC_BUSY || clock_mono_ms() > end_ms)
        return false;
    nanosleep(&pause, NULL);
    return true;
}

enum err ca_register(struct cli *c, const char *name, const char *use, struct span der, const char *key, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(65536);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    char host[65] = "";
    buf_put_base64(&text, der, 0);
    gethostname(host, sizeof host - 1);
    CLEANUP(json_decref_p) json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "name", name, "use", use, "der", buf_cstr(&text), "key", key, "host", host,
                                                 "software", "cradle " CRADLE_VERSION);
    enum err e = json_set_text(o, "note", cli_opt(c, "--note"), f);
    if (e)
        return e;
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    int64_t end_ms = clock_mono_ms() + PATIENCE_MS;
    for (bool repeated = false;; repeated = true) {
        e = cli_call(c, "POST", "/api/v1/cas", span_str(body), &r, f);
        if (repeated && e == CE_EXISTS) /* the one before did it, and its answer was lost */
            return CE_OK;
        if (!again(e, end_ms))
            return e;
        net_reply_free(&r);
        r = (struct net_reply){ 0 };
    }
}

enum err ca_ask(struct cli *c, const char *name, json_t **out, struct fault *f)
{
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    char path[128];
    *out = NULL;
    snprintf(path, sizeof path, "/api/v1/cas/%.64s", name);
    enum err e;
    int64_t end_ms = clock_mono_ms() + PATIENCE_MS;
    do {
        net_reply_free(&r);
        r = (struct net_reply){ 0 };
        e = cli_call(c, "GET", path, span_of(NULL, 0), &r, f);
    } while (again(e, end_ms));
    return e ? e : cli_json(&r, out, f);
}

static enum err hup(struct cli *c, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(64);
    char path[PATH_MAX_LEN];
    int64_t pid = 0;
    path_join(path, "%s/run/cradled.pid", c->site);
    enum err e = file_read(path, &text);
    if (e || !span_to_i64(span_trim(buf_span(&text)), &pid) || pid < 2)
        return fault_set(f, e ? e : CE_BAD_CONFIG, "%s names no process: is cradled running on this machine?", path);
    return kill((pid_t)pid, SIGHUP) ? fault_set(f, err_from_errno(errno), "SIGHUP to cradled (%lld): %s", (long long)pid, strerror(errno)) : CE_OK;
}

enum err ca_reload(struct cli *c, const char *name, struct fault *f)
{
    const struct timespec pause = { 0, 200000000 };
    enum err e = hup(c, f);
    for (int64_t end = clock_mono_ms() + RELOAD_WAIT_MS; !e && clock_mono_ms() < end; nanosleep(&pause, NULL)) {
        CLEANUP(json_decref_p) json_t *ca = NULL;
        struct fault meanwhile;
        if (ca_ask(c, name, &ca, &meanwhile) == CE_OK && json_is_true(json_object_get(ca, "ready")))
            return CE_OK;
    }
    return e ? e : fault_set(f, CE_TIMEOUT, "the service has not made the CRLs of CA %s within %d s: see its log, then run this again", name, RELOAD_WAIT_MS / 1000);
}
