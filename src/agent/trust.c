/* trust.c: see trust.h. Asking the site, trying what it says, taking it. */
#include "agent/trust.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/enroll.h"
#include "agent/trust_file.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypt/pem.h"
#include "wire/cms.h"

/* -- files ---------------------------------------------------------------------------------------------------------------------------- */
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
    CLEANUP(buf_free) struct buf text = BUF_INIT(TRUST_TEXT_MAX);
    char dir[PATH_MAX_LEN];
    enum err e = trust_origin(cfg, &text, f);
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

/* -- fetching and trying ----------------------------------------------------------------------------------------------------------------- */
static enum err bundle_get(const struct creds *c, struct buf *der, struct fault *f)
{
    CLEANUP(net_close_p) struct net *net = NULL;
    CLEANUP(net_reply_free) struct net_reply reply = { 0 };
    char path[PATH_MAX_LEN];
    path_join(path, "/.well-known/est%s%s/cacerts", *c->cfg->est_label ? "/" : "", c->cfg->est_label);
    enum err e = enroll_open(c, CREDS_CURRENT, "", TRUST_TEXT_MAX, &net, f);
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
    CLEANUP(trust_hand_free) struct trust_hand h = { .learnt = false };
    CLEANUP(buf_free) struct buf der = BUF_INIT(TRUST_TEXT_MAX);
    struct span certs[TRUST_CERTS_MAX];
    struct trust_change change;
    size_t n;
    *news = (struct trust_news){ .changed = false };
    if (!*c->cfg->est_url)
        return fault_set(f, CE_BAD_CONFIG, "est_url is not set, so roots cannot be renewed");
    enum err e = trust_hand_load(c->cfg, &h, f);
    if (!e && !h.trust.n)
        e = fault_set(f, CE_NOT_FOUND, "ca_file %s holds no root (a self-signed CA certificate), so roots are not renewed", c->cfg->ca_file);
    e = e ? e : bundle_get(c, &der, f);
    news->asked = !e;
    e = e ? e : cms_certs_read(buf_span(&der), certs, TRUST_CERTS_MAX, &n, f);
    e = e ? e : trust_judge(&h.trust, certs, n, clock_now_s(), &change, f);
    if (!e && (change.added || change.dropped || change.ended))
        e = change_take(c, &change, news, f);
    if (!e || e == CE_NOT_FOUND || (news->asked && e != CE_IO && e != CE_TIMEOUT)) /* a refusal is an answer: asked again when it is time */
        trust_checked_note(c->cfg);
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

