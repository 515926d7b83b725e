/* signer_role.c: the signer's process around role/signer: keys, jail, one descriptor, a blocking loop. It answers in batches:
 * everything that one read brought in, then one write.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "role/channel.h"
#include "role/jail.h"
#include "role/link.h"
#include "role/signer.h"

#define SIGNER_READ (256u << 10)
#define SIGNER_FLUSH (1u << 20) /* answers that wait for the end of their batch */

static _Noreturn void bad_framing(const char *what)
{
    log_error(0, "bad internal framing from core: %s; stopping", what);
    _exit(EXIT_BAD_FRAMING);
}

static bool write_all(int fd, struct buf *out)
{
    INVARIANT(buf_err(out) == CE_OK);
    enum err e = file_write_all(fd, buf_span(out));
    buf_reset(out);
    return e == CE_OK;
}

/* Answers every whole frame in `in` and removes it. A large answer (a CRL) leaves at once: a batch of them would fit nowhere. False:
 * core is gone. */
static bool answer_batch(struct signer *s, int fd, struct buf *in, struct buf *out)
{
    struct span rest = buf_span(in);
    struct ipc_frame f;
    enum err e;
    while ((e = ipc_frame_get(&rest, &f)) == CE_OK) {
        if (!edge_permits(ROLE_CORE, ROLE_SIGNER, f.type))
            bad_framing("a message that core may not send");
        signer_handle(s, &f, out);
        if (out->len >= SIGNER_FLUSH && !write_all(fd, out))
            return false;
    }
    if (e != CE_TRUNCATED)
        bad_framing("a malformed header");
    buf_drop(in, in->len - rest.n);
    return write_all(fd, out);
}

static void serve(struct signer *s, int fd)
{
    CLEANUP(buf_free) struct buf in = BUF_INIT(IPC_MAX + SIGNER_READ), out = BUF_INIT(SIGNER_FLUSH + IPC_MAX + IPC_HEADER);
    for (;;) {
        uint8_t *at = buf_grow(&in, SIGNER_READ);
        INVARIANT(at != NULL);
        ssize_t n = read(fd, at, SIGNER_READ);
        in.len -= SIGNER_READ - (n > 0 ? (size_t)n : 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* core is gone: its successor gets a fresh signer */
        if (!answer_batch(s, fd, &in, &out))
            return;
    }
}

int role_signer_main(struct role_context *c)
{
    struct signer *s = NULL;
    struct fault f = { 0 };
    char url[SETTINGS_URL_MAX];
    settings_http_url(c->settings, url);
    struct signer_config config = { .dir = c->site, .base_url = url, .n_shards = (unsigned)c->settings->n_shards };
    if (c->npeers != 1 || c->peers[0].role != ROLE_CORE)
        return 0; /* core died meanwhile */
    if (signer_open(&config, &s, &f)) {
        log_error(0, "%s", f.text);
        return EXIT_ROLE_FATAL;
    }
    if (fcntl(c->peers[0].fd, F_SETFL, 0)) /* blocking: there is nothing else to wait for */
        return EXIT_ROLE_FATAL;
    role_ready(c);
    close(c->parent_fd);
    if (jail_enter(JAIL_SIGNER, NULL, &f)) {
        log_error(0, "%s", f.text);
        return EXIT_ROLE_FATAL;
    }
    serve(s, c->peers[0].fd);
    signer_close(s);
    return 0;
}
