/* identity.c: carries out what cradle_step says about the identity, and tries a candidate before it replaces the current one. See run.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "agent/enroll.h"
#include "agent/reset.h"
#include "agent/run.h"
#include "agent/trust.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/net.h"

#define CANDIDATE_REFUSALS_MAX 3

int64_t agent_backoff_ms(const struct agent *a, unsigned attempt)
{
    uint32_t r = 0;
    if (random_bytes(&r, sizeof r))
        r = (uint32_t)clock_mono_us();
    return cradle_backoff_ms(attempt, (uint32_t)a->cfg.backoff_base_ms, (uint32_t)a->cfg.backoff_cap_ms, r);
}

/* Learns from the current certificate when to renew. */
static void dates_learn(struct agent *a)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(16384);
    struct cradle_cert cert;
    struct fault f;
    char end[CLOCK_TEXT_MAX], due[CLOCK_TEXT_MAX];
    if (enroll_cert_load(&a->creds, CREDS_CURRENT, &der, &cert, &f)) {
        log_warn(0, "%s", f.text);
        return;
    }
    int64_t was_s = a->renew_at_s;
    a->not_after_s = cert.not_after_s;
    a->renew_at_s = cradle_renew_at_s(&cert, (int)a->cfg.renew_at_pct, a->cfg.uid);
    clock_text_s(a->not_after_s, end);
    clock_text_s(a->renew_at_s, due);
    if (a->renew_at_s != was_s)
        log_info(0, "the certificate of %s is valid until %s and will be renewed at %s", a->cfg.uid, end, due);
}

static enum err act_enroll(struct agent *a, bool renew, struct fault *f)
{
    int64_t retry_s = 0;
    enum err e = renew ? enroll_renew(&a->cfg, &a->creds, &retry_s, f) : enroll_first(&a->cfg, &a->creds, &retry_s, f);
    if (e) {
        int64_t wait_ms = retry_s ? retry_s * 1000 : agent_backoff_ms(a, a->est_attempts++);
        a->next_est_ms = clock_mono_ms() + wait_ms;
        log_warn(0, "%s of %s failed (%s): %s; next try in %lld ms", renew ? "renewal" : "enrollment", a->cfg.uid, err_reason(e), f->text, (long long)wait_ms);
        return e;
    }
    a->est_attempts = 0;
    log_info(0, renew ? "%s has a new certificate; it replaces the old one after a connection with it has worked" : "%s is enrolled", a->cfg.uid);
    cradle_step(&a->phase, CRADLE_EV_CERT_STORED);
    return CE_OK;
}

/* Without a broker the EST server's TLS handshake is the trial. */
static enum err candidate_try_est(struct agent *a, struct fault *f)
{
    CLEANUP(net_close_p) struct net *net = NULL;
    CLEANUP(net_reply_free) struct net_reply reply = { 0 };
    enum err e = enroll_open(&a->creds, CREDS_NEXT, "", 0, &net, f);
    return e ? e : net_get(net, "/.well-known/est/csrattrs", &reply, f);
}

static enum err candidate_swap(struct agent *a, struct fault *f)
{
    cradle_step(&a->phase, CRADLE_EV_CONNECTED);
    enum err e = creds_swap(&a->creds, f);
    if (e)
        return e;
    cradle_step(&a->phase, CRADLE_EV_SWAPPED);
    a->link_slot = CREDS_CURRENT;
    a->candidate_refusals = 0;
    a->swaps++;
    a->next_trust_ms = clock_mono_ms(); /* each renewal asks for new roots too (RFC 7030 4.1.1) */
    dates_learn(a);
    log_info(0, "%s now uses its new certificate", a->cfg.uid);
    return CE_OK;
}

static enum err candidate_refused(struct agent *a, const char *why, struct fault *f)
{
    log_warn(0, "the candidate certificate of %s was refused: %s", a->cfg.uid, why);
    if (++a->candidate_refusals < CANDIDATE_REFUSALS_MAX)
        return CE_OK;
    a->candidate_refusals = 0;
    cradle_step(&a->phase, CRADLE_EV_REFUSED);
    a->next_est_ms = clock_mono_ms() + agent_backoff_ms(a, a->est_attempts++);
    log_warn(0, "going back to the old certificate of %s", a->cfg.uid);
    return creds_drop_next(&a->creds, f);
}

static enum err candidate_step(struct agent *a, struct fault *f)
{
    if (!*a->cfg.broker_host) {
        enum err e = candidate_try_est(a, f);
        if (!e)
            return candidate_swap(a, f);
        return err_class(e) == ERRC_DENIED || err_class(e) == ERRC_AUTHN ? candidate_refused(a, f->text, f) : e;
    }
    if (!a->link || a->link_slot != CREDS_NEXT)
        return CE_OK; /* the loop opens it */
    if (link_state(a->link) == LINK_UP)
        return candidate_swap(a, f);
    if (link_state(a->link) == LINK_REFUSED && !a->link_reported) {
        a->link_reported = true;
        return candidate_refused(a, link_why(a->link), f);
    }
    return CE_OK;
}

enum err agent_key(struct agent *a, struct fault *f)
{
    if (a->phase != CRADLE_NO_KEY || cradle_step(&a->phase, CRADLE_EV_START) != CRADLE_DO_MAKE_KEY)
        return CE_OK;
    enum err e = creds_first(&a->creds, f);
    if (e)
        return e;
    log_info(0, "made the key of %s (%s); it never leaves this device", a->cfg.uid, a->cfg.key);
    cradle_step(&a->phase, CRADLE_EV_KEY_MADE);
    return CE_OK;
}

/* A TPM or token may be away when the key is to be made. */
static enum err act_key(struct agent *a, struct fault *f)
{
    enum err e = agent_key(a, f);
    if (!e) {
        a->est_attempts = 0;
        return CE_OK;
    }
    int64_t wait_ms = agent_backoff_ms(a, a->est_attempts++);
    a->next_est_ms = clock_mono_ms() + wait_ms;
    log_warn(0, "the key of %s cannot be made (%s): %s; next try in %lld ms", a->cfg.uid, err_reason(e), f->text, (long long)wait_ms);
    return e;
}

enum err agent_identity(struct agent *a, bool force, struct fault *f)
{
    int64_t now_ms = clock_mono_ms();
    if (a->phase == CRADLE_NO_KEY && now_ms < a->next_est_ms)
        return CE_OK;
    enum err e = a->phase == CRADLE_NO_KEY ? act_key(a, f) : CE_OK;
    if (e)
        return e;
    if (a->phase == CRADLE_NO_CERT && now_ms >= a->next_est_ms)
        e = act_enroll(a, false, f);
    else if (a->phase == CRADLE_CANDIDATE)
        return candidate_step(a, f);
    if (e || a->phase != CRADLE_CURRENT)
        return e;
    if (!a->renew_at_s)
        dates_learn(a);
    bool due = force || (a->renew_at_s && clock_now_s() >= a->renew_at_s);
    if (due && now_ms >= a->next_est_ms && cradle_step(&a->phase, CRADLE_EV_DUE) == CRADLE_DO_RENEW)
        e = act_enroll(a, true, f);
    return e;
}

enum err agent_open(struct agent *a, struct fault *f)
{
    char path[PATH_MAX_LEN];
    a->telemetry_fd = a->lock_fd = -1;
    a->started_ms = clock_mono_ms();
    if (file_mkdirs(a->cfg.state_dir, 0700))
        return fault_set(f, err_from_errno(errno), "state_dir %s: %s", a->cfg.state_dir, strerror(errno));
    path_join(path, "%s/lock", a->cfg.state_dir);
    a->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (a->lock_fd < 0)
        return fault_set(f, err_from_errno(errno), "%s: %s", path, strerror(errno));
    if (flock(a->lock_fd, LOCK_EX | LOCK_NB))
        return fault_set(f, CE_EXISTS, "another cradle-agent runs on %s", a->cfg.state_dir);
    char pid[32];
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(a->lock_fd, 0) || pwrite(a->lock_fd, pid, (size_t)n, 0) != n)
        return fault_set(f, err_from_errno(errno), "%s: %s", path, strerror(errno));
    trust_clear(&a->cfg);
    enum err e = creds_open(&a->cfg, &a->creds, &a->phase, f);
    return e || !reset_pending(&a->cfg) ? e : reset_step(a, f); /* whatever this start is for, a reset goes on first */
}

void agent_close(struct agent *a)
{
    link_close(a->link);
    a->link = NULL;
    fd_close_p(&a->telemetry_fd);
    fd_close_p(&a->lock_fd);
    for (unsigned i = 0; i < OUTBOX_MAX; i++)
        buf_free(&a->outbox.item[i]);
}
