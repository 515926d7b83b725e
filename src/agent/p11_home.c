/* p11_home.c: see p11_home.h. */
#include "agent/p11_home.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypt/hash.h"

struct p11_home {
    struct p11_home *next;
    struct pkcs11_uri uri;
    char note[PATH_MAX_LEN];       /* where a refused PIN is noted */
    struct token *token;           /* owned */
    struct token_session *session; /* owned */
    unsigned users;
    bool refused;                  /* its PIN: found by nobody any more, ends with its last user */
};

static struct p11_home *homes;

/* -- the note of a refused PIN ------------------------------------------------------------------------------------------------------------ */
static void note_path(const char *state_dir, const struct pkcs11_uri *u, char *out)
{
    CLEANUP(buf_free) struct buf name = BUF_INIT(64);
    uint8_t hash[SHA256_LEN];
    sha256(span_str(u->pin_source), hash);
    buf_put_hex(&name, span_of(hash, 8));
    path_join(out, "%s/pin-refused-%s", state_dir, buf_cstr(&name));
}

/* Which PIN file, as it is now; nothing of the PIN itself. */
static bool pin_file_put(const struct pkcs11_uri *u, struct buf *out)
{
    struct stat st;
    if (stat(u->pin_source, &st))
        return false;
    buf_printf(out, "%s %llu %lld %lld.%09ld\n", u->pin_source, (unsigned long long)st.st_ino, (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    return !buf_err(out);
}

static enum err note_judge(const char *note, const struct pkcs11_uri *u, struct fault *f)
{
    CLEANUP(buf_free) struct buf now = BUF_INIT(PATH_MAX_LEN + 128), then = BUF_INIT(PATH_MAX_LEN + 128);
    if (file_read(note, &then) || !pin_file_put(u, &now) || !span_eq(buf_span(&now), buf_span(&then)))
        return CE_OK;
    return fault_set(f, CE_CRYPTO, "the PKCS#11 token refused the PIN in %s; it is not tried again before that file is written anew, because tokens lock themselves", u->pin_source);
}

static void note_write(const struct p11_home *h)
{
    CLEANUP(buf_free) struct buf now = BUF_INIT(PATH_MAX_LEN + 128);
    if (pin_file_put(&h->uri, &now) && file_write_atomic(h->note, buf_span(&now), 0600))
        log_warn(0, "cannot note in %s that the token refused the PIN: %s", h->note, strerror(errno));
}

/* -- homes ------------------------------------------------------------------------------------------------------------------------------- */
static void home_free(struct p11_home *h)
{
    struct p11_home **at = &homes;
    while (*at && *at != h)
        at = &(*at)->next;
    if (*at)
        *at = h->next;
    token_session_free(h->session);
    token_free(h->token);
    free(h);
}

/* Modules want to be ended before the libraries that they use; keys that are open here are not used any more. */
static void homes_end(void)
{
    for (struct p11_home *h = homes; h; h = h->next) {
        token_free(h->token);
        h->token = NULL;
    }
}

/* After each try to connect. */
static enum err home_judge(struct p11_home *h, enum err e)
{
    if (e && token_pin_refused(h->token)) {
        h->refused = true;
        note_write(h);
    } else if (!e && unlink(h->note) && errno != ENOENT)
        log_warn(0, "cannot remove %s: %s", h->note, strerror(errno));
    return e;
}

enum err p11_home_again(struct p11_home *h, struct fault *f)
{
    enum err e = note_judge(h->note, &h->uri, f);
    if (e)
        return e;
    e = home_judge(h, token_is_lost(h->token) ? token_retry(h->token, f) : CE_OK);
    return e == CE_NOT_FOUND ? fault_set(f, CE_TOKEN_LOST, "the PKCS#11 token is gone") : e;
}

static enum err home_new(const char *note, const struct pkcs11_uri *u, struct p11_home **out, struct fault *f)
{
    static const struct token_options unattended = { .stay = true, .need_pin = true };
    static bool ends;
    struct token *t = NULL;
    enum err e = token_new(u, &unattended, &t, f);
    if (e)
        return e;
    struct p11_home *h = *out = mem_calloc(1, sizeof *h);
    h->uri = *u;
    path_join(h->note, "%s", note);
    h->token = t;
    h->next = homes;
    homes = h;
    if (!ends)
        ends = atexit(homes_end) == 0;
    e = home_judge(h, token_connect(t, f));
    if (e)
        home_free(h);
    else
        h->session = token_session_new(t);
    return e;
}

enum err p11_home_open(const char *state_dir, const struct pkcs11_uri *u, struct p11_home **out, struct fault *f)
{
    char note[PATH_MAX_LEN];
    struct p11_home *h = homes;
    note_path(state_dir, u, note);
    enum err e = note_judge(note, u, f);
    while (h && (h->refused || !pkcs11_uri_same_token(&h->uri, u)))
        h = h->next;
    if (!e)
        e = !h ? home_new(note, u, &h, f) : token_is_lost(h->token) ? p11_home_again(h, f) : CE_OK;
    if (e)
        return e;
    h->users++;
    *out = h;
    return CE_OK;
}

void p11_home_leave(struct p11_home *h)
{
    if (h && --h->users == 0 && h->refused)
        home_free(h);
}

struct token_session *p11_home_session(struct p11_home *h) { return h->session; }
