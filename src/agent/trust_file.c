/* trust_file.c: see trust_file.h and trust.h. It opens no connection: cradle-gate uses it too. */
#include "agent/trust_file.h"

#include <errno.h>
#include <stdio.h>

#include "agent/trust.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypt/hash.h"
#include "crypt/pem.h"

#define FIRST_WAIT_S 60

void trust_file(const struct agent_config *cfg, const char *name, char *out) { path_join(out, "%s/trust/%s", cfg->state_dir, name); }

/* -- files ---------------------------------------------------------------------------------------------------------------------------- */
void trust_hand_free(struct trust_hand *h) { buf_free(&h->der); }

static enum err pem_roots(struct span text, struct trust_hand *h, struct fault *f)
{
    struct span certs[TRUST_CERTS_MAX];
    size_t end[TRUST_CERTS_MAX], n = 0, from = 0;
    h->der = BUF_INIT(TRUST_TEXT_MAX);
    for (; n < TRUST_CERTS_MAX && pem_decode(text, "CERTIFICATE", (unsigned)n, &h->der) == CE_OK; n++)
        end[n] = h->der.len;
    for (size_t i = 0; i < n; from = end[i++])
        certs[i] = span_of(h->der.data + from, end[i] - from);
    return trust_read(certs, n, &h->trust, f);
}

/* The first line of roots.pem: which ca_file it was learnt from. */
enum err trust_origin(const struct agent_config *cfg, struct buf *line, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(TRUST_TEXT_MAX);
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
static bool learnt_load(const struct agent_config *cfg, struct trust_hand *h)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(TRUST_TEXT_MAX), line = BUF_INIT(256);
    char path[PATH_MAX_LEN];
    struct fault f;
    trust_file(cfg, "roots.pem", path);
    if (file_read(path, &text) || trust_origin(cfg, &line, &f) || !span_starts(buf_span(&text), buf_cstr(&line)))
        return false;
    if (pem_roots(buf_span(&text), h, &f) == CE_OK && h->trust.n)
        return true;
    trust_hand_free(h);
    log_warn(0, "%s is damaged: ca_file counts again", path);
    return false;
}

enum err trust_hand_load(const struct agent_config *cfg, struct trust_hand *h, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(TRUST_TEXT_MAX);
    h->learnt = learnt_load(cfg, h);
    if (h->learnt)
        return CE_OK;
    enum err e = file_read(cfg->ca_file, &text);
    return e ? fault_set(f, e, "ca_file %s: %s", cfg->ca_file, strerror(errno)) : pem_roots(buf_span(&text), h, f);
}

void trust_path(const struct agent_config *cfg, char *out)
{
    CLEANUP(trust_hand_free) struct trust_hand h = { .learnt = false };
    h.learnt = learnt_load(cfg, &h);
    if (h.learnt)
        trust_file(cfg, "roots.pem", out);
    else
        path_join(out, "%s", cfg->ca_file);
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

void trust_checked_note(const struct agent_config *cfg)
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

void trust_json(const struct agent_config *cfg, struct json_out *j)
{
    CLEANUP(trust_hand_free) struct trust_hand h = { .learnt = false };
    char path[PATH_MAX_LEN];
    uint8_t hash[SHA256_LEN];
    struct fault f;
    if (!*cfg->ca_file || trust_hand_load(cfg, &h, &f))
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
