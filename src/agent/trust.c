/* trust.c: see trust.h. */
#include "agent/trust.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/enroll.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypt/hash.h"
#include "crypt/pem.h"
#include "crypt/trust.h"
#include "wire/cms.h"

#define TEXT_MAX_BYTES (512u << 10) /* of a bundle, as PEM or base64 */
#define FIRST_WAIT_S 60

static void trust_file(const struct agent_config *cfg, const char *name, char *out) { path_join(out, "%s/trust/%s", cfg->state_dir, name); }

/* -- files ---------------------------------------------------------------------------------------------------------------------------- */
struct hand { /* the roots in hand, and the bytes that they point into */
    struct buf der;
    struct trust trust;
    bool learnt;
};

static void hand_free(struct hand *h) { buf_free(&h->der); }

static enum err pem_roots(struct span text, struct hand *h, struct fault *f)
{
    struct span certs[TRUST_CERTS_MAX];
    size_t end[TRUST_CERTS_MAX], n = 0, from = 0;
    h->der = BUF_INIT(TEXT_MAX_BYTES);
    for (; n < TRUST_CERTS_MAX && pem_decode(text, "CERTIFICATE", (unsigned)n, &h->der) == CE_OK; n++)
        end[n] = h->der.len;
    for (size_t i = 0; i < n; from = end[i++])
        certs[i] = span_of(h->der.data + from, end[i] - from);
    return trust_read(certs, n, &h->trust, f);
}

/* The first line of roots.pem: which ca_file it was learnt from. */
static enum err origin_line(const struct agent_config *cfg, struct buf *line, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(TEXT_MAX_BYTES);
    uint8_t hash[SHA256_LEN];
    enum err e = file_read(cfg->ca_file, &text);
    if (e)
        return fault_set(f, e, "ca_file %s: %s", cfg->ca_file, e == CE_TOO_LARGE ? "is too large" : strerror(errno));
    sha256(buf_span(&text), hash);
    buf_put_str(line, "# roots that were proved by those of ca_file ");
    buf_put_hex(line, span_of(hash, sizeof hash));
    buf_put_u8(line, '\n');
    return CE_OK;
}

/* roots.pem, when it is whole and of this ca_file. */
static bool learnt_load(const struct agent_config *cfg, struct hand *h)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(TEXT_MAX_BYTES), line = BUF_INIT(256);
    char path[PATH_MAX_LEN];
    struct fault f;
    trust_file(cfg, "roots.pem", path);
    if (file_read(path, &text) || origin_line(cfg, &line, &f) || !span_starts(buf_span(&text), buf_cstr(&line)))
        return false;
    if (pem_roots(buf_span(&text), h, &f) == CE_OK && h->trust.n)
        return true;
    hand_free(h);
    log_warn(0, "%s is damaged: ca_file counts again", path);
    return false;
}

static enum err hand_load(const struct agent_config *cfg, struct hand *h, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(TEXT_MAX_BYTES);
    h->learnt = learnt_load(cfg, h);
    if (h->learnt)
        return CE_OK;
    enum err e = file_read(cfg->ca_file, &text);
    return e ? fault_set(f, e, "ca_file %s: %s", cfg->ca_file, strerror(errno)) : pem_roots(buf_span(&text), h, f);
}

void trust_path(const struct agent_config *cfg, char *out)
{
    CLEANUP(hand_free) struct hand h = { .learnt = false };
    h.learnt = learnt_load(cfg, &h);
    if (h.learnt)
        trust_file(cfg, "roots.pem", out);
    else
        path_join(out, "%s", cfg->ca_file);
}

void trust_clear(const struct agent_config *cfg)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/trust", cfg->state_dir);
    file_temps_remove(path, "");
    trust_file(cfg, "next.pem", path);
    unlink(path);
}

static void root_text(const struct cert *c, struct buf *out)
{
    char begin[CLOCK_TEXT_MAX], end[CLOCK_TEXT_MAX];
    struct span who = span_is_utf8(c->cn) ? c->cn : span_of(NULL, 0);
    clock_text_s(c->not_before, begin);
    clock_text_s(c->not_after, end);
    buf_printf(out, "\n# " SPAN_FMT ", %s to %s\n", SPAN_ARG(who), begin, end);
    pem_encode("CERTIFICATE", c->der, out);
}

static enum err next_write(const struct agent_config *cfg, const struct trust *t, const char *path, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(TEXT_MAX_BYTES);
    char dir[PATH_MAX_LEN];
    enum err e = origin_line(cfg, &text, f);
    if (e)
        return e;
    for (size_t i = 0; i < t->n; i++)
        root_text(&t->root[i], &text);
    path_join(dir, "%s/trust", cfg->state_dir);
    if ((e = buf_err(&text)) || (e = file_mkdirs(dir, 0700)) || (e = file_write_atomic(path, buf_span(&text), 0644)))
        return fault_set(f, e, "cannot write %s: %s", path, strerror(errno));
    return CE_OK;
}

static enum err next_take(const struct agent_config *cfg, const char *next, struct fault *f)
{
    char path[PATH_MAX_LEN], dir[PATH_MAX_LEN];
    trust_file(cfg, "roots.pem", path);
    path_join(dir, "%s/trust", cfg->state_dir);
    return rename(next, path) || file_sync_dir(dir) ? fault_set(f, err_from_errno(errno), "%s: %s", path, strerror(errno)) : CE_OK;
}

/* -- when ------------------------------------------------------------------------------------------------------------------------------ */
static int64_t checked_s(const struct agent_config *cfg) /* 0: never, or not known */
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(64);
    char path[PATH_MAX_LEN];
    int64_t at_s = 0;
    trust_file(cfg, "checked", path);
    return file_read(path, &text) == CE_OK && span_to_i64(span_trim(buf_span(&text)), &at_s) && at_s > 0 && at_s <= clock_now_s() ? at_s : 0;
}

static void checked_note(const struct agent_config *cfg)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(64);
    char path[PATH_MAX_LEN];
    path_join(path, "%s/trust", cfg->state_dir);
    buf_printf(&text, "%lld\n", (long long)clock_now_s());
    if (file_mkdirs(path, 0700) == CE_OK) {
        trust_file(cfg, "checked", path);
        if (file_write_atomic(path, buf_span(&text), 0644))
            log_warn(0, "cannot write %s: %s", path, strerror(errno)); /* the next start looks again */
    }
}

static int64_t random_ms(int64_t limit_ms)
{
    uint64_t r = 0;
    if (random_bytes(&r, sizeof r))
        r = (uint64_t)clock_mono_us();
    return (int64_t)(r % (uint64_t)(limit_ms + 1));
}

int64_t trust_wait_ms(const struct agent_config *cfg)
{
    int64_t period_s = cfg->trust_check_s, last_s = checked_s(cfg);
    int64_t soon_ms = random_ms((period_s < FIRST_WAIT_S ? period_s : FIRST_WAIT_S) * 1000);
    int64_t due_ms = last_s ? period_s * 500 + random_ms(period_s * 500) - (clock_now_s() - last_s) * 1000 : 0;
    return due_ms > soon_ms ? due_ms : soon_ms;
}

/* -- fetching and trying ----------------------------------------------------------------------------------------------------------------- */
static enum err bundle_get(const struct creds *c, struct buf *der, struct fault *f)
{
    CLEANUP(net_close_p) struct net *net = NULL;
    CLEANUP(net_reply_free) struct net_reply reply = { 0 };
    char path[PATH_MAX_LEN];
    path_join(path, "/.well-known/est%s%s/cacerts", *c->cfg->est_label ? "/" : "", c->cfg->est_label);
    enum err e = enroll_open(c, CREDS_CURRENT, "", TEXT_MAX_BYTES, &net, f);
    e = e ? e : net_get(net, path, &reply, f);
    if (!e && (e = base64_decode(buf_span(&reply.body), der)))
        return fault_set(f, e, "the EST server's CA certificates are not base64 (RFC 8951 3.2)");
    return e;
}

/* Does a handshake with this server work when `roots` is all that is trusted? */
static enum err server_try(const struct creds *c, const char *url, const char *peer, const char *roots, struct fault *f)
{
    CLEANUP(net_close_p) struct net *net = NULL;
    enum err e = enroll_open_by(c, CREDS_CURRENT, url, roots, 0, &net, f);
    e = e ? e : net_probe(net, f);
    if (e)
        log_warn(0, "with the new roots alone, the %s is not reached: %s", peer, f->text);
    return e;
}

static enum err servers_try(const struct creds *c, const char *roots, struct fault *f)
{
    const struct agent_config *a = c->cfg;
    char broker[PATH_MAX_LEN];
    enum err e = server_try(c, a->est_url, "EST server", roots, f);
    if (!e && *a->update_url)
        e = server_try(c, a->update_url, "update server", roots, f);
    if (e || !*a->broker_host)
        return e;
    path_join(broker, strchr(a->broker_host, ':') ? "https://[%s]:%lld" : "https://%s:%lld", a->broker_host, (long long)a->broker_port);
    return server_try(c, broker, "broker", roots, f);
}

static enum err set_try(const struct creds *c, const struct trust *t, struct fault *f)
{
    char next[PATH_MAX_LEN];
    trust_file(c->cfg, "next.pem", next);
    enum err e = next_write(c->cfg, t, next, f);
    e = e ? e : servers_try(c, next, f);
    e = e ? e : next_take(c->cfg, next, f);
    if (e)
        unlink(next);
    return e;
}

static enum err change_take(const struct creds *c, const struct trust_change *change, struct trust_news *news, struct fault *f)
{
    enum err e = set_try(c, &change->now, f);
    if (e && change->dropped && change->added) { /* what is new is worth having, even while the old cannot go */
        struct fault why = *f;
        news->kept_old = set_try(c, &change->kept, f) == CE_OK;
        if (!news->kept_old)
            *f = why;
        else
            e = CE_OK;
    }
    if (e)
        return e;
    news->changed = true;
    news->added = change->added;
    news->dropped = news->kept_old ? 0 : change->dropped;
    news->ended = change->ended;
    return CE_OK;
}

enum err trust_renew(const struct creds *c, struct trust_news *news, struct fault *f)
{
    CLEANUP(hand_free) struct hand h = { .learnt = false };
    CLEANUP(buf_free) struct buf der = BUF_INIT(TEXT_MAX_BYTES);
    struct span certs[TRUST_CERTS_MAX];
    struct trust_change change;
    size_t n;
    *news = (struct trust_news){ .changed = false };
    if (!*c->cfg->est_url)
        return fault_set(f, CE_BAD_CONFIG, "est_url is not set, so roots cannot be renewed");
    enum err e = hand_load(c->cfg, &h, f);
    if (!e && !h.trust.n)
        e = fault_set(f, CE_NOT_FOUND, "ca_file %s holds no root (a self-signed CA certificate), so roots are not renewed", c->cfg->ca_file);
    e = e ? e : bundle_get(c, &der, f);
    news->asked = !e;
    e = e ? e : cms_certs_read(buf_span(&der), certs, TRUST_CERTS_MAX, &n, f);
    e = e ? e : trust_judge(&h.trust, certs, n, clock_now_s(), &change, f);
    if (!e && (change.added || change.dropped || change.ended))
        e = change_take(c, &change, news, f);
    if (!e || e == CE_NOT_FOUND || (news->asked && e != CE_IO && e != CE_TIMEOUT)) /* a refusal is an answer: asked again when it is time */
        checked_note(c->cfg);
    return e;
}

void trust_tell(enum err e, const struct trust_news *news, const struct fault *f)
{
    if (e)
        log_warn(0, "the roots stay as they are (%s): %s", err_reason(e), f->text);
    else if (news->changed)
        log_info(0, "roots: %u new, %u replaced, %u ended; every server was reached with them%s", news->added, news->dropped, news->ended,
                 news->kept_old ? "; an old one stays, because a server is not reached without it" : "");
}

void trust_json(const struct agent_config *cfg, struct json_out *j)
{
    CLEANUP(hand_free) struct hand h = { .learnt = false };
    char path[PATH_MAX_LEN];
    uint8_t hash[SHA256_LEN];
    struct fault f;
    if (!*cfg->ca_file || hand_load(cfg, &h, &f))
        return;
    trust_path(cfg, path);
    json_cstr(j, "trust_file", path);
    if (checked_s(cfg))
        json_time_s(j, "trust_checked", checked_s(cfg));
    json_arr(j, "roots");
    for (size_t i = 0; i < h.trust.n; i++) {
        const struct cert *c = &h.trust.root[i];
        sha256(c->der, hash);
        json_obj(j, NULL);
        json_str(j, "name", c->cn);
        json_hex(j, "sha256", span_of(hash, sizeof hash));
        json_time_s(j, "not_before", c->not_before);
        json_time_s(j, "not_after", c->not_after);
        json_obj_end(j);
    }
    json_arr_end(j);
}
