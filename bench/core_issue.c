/* core_issue.c: durable issuances a second in one process: the real engine, the real signer, SQLite on disk, IN_FLIGHT requests
 * open at any time. Each issuance: judged, intent and evidence committed, signed and verified, certificate and evidence
 * committed, answered. Usage: core_issue [COUNT] [IN_FLIGHT] [apart]. apart: as in cradled, the signer in a process of its own at the
 * end of a socketpair, files of the log and of CRLs written by threads; else all in one thread. Prints one line of JSON.
 */
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "t/unit/cert_site.h"

static struct site s;
static void signer_here(void)
{
    site_sign(&s);
}

static int cmp_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* CPU of this thread, us: waiting for the disk does not count. */
static int64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* -- the signer apart ---------------------------------------------------------------------------------------------------- */
static int link_fd = -1;
static struct buf link_in;

static void link_write(const struct buf *out)
{
    for (size_t at = 0; at < out->len;) {
        ssize_t n = write(link_fd, out->data + at, out->len - at);
        if (n <= 0)
            _exit(1);
        at += (size_t)n;
    }
}

/* Reads what is there; false: the other end has closed. */
static bool link_read(void)
{
    uint8_t chunk[65536];
    ssize_t n = read(link_fd, chunk, sizeof chunk);
    if (n > 0)
        buf_put(&link_in, chunk, (size_t)n);
    return n > 0;
}

static void link_keep(struct span rest)
{
    memmove(link_in.data, rest.p, rest.n);
    link_in.len = rest.n;
}

static _Noreturn void signer_serve(void)
{
    struct buf out = BUF_INIT(0);
    struct ipc_frame in;
    while (link_read()) {
        struct span rest = buf_span(&link_in);
        buf_reset(&out);
        while (ipc_frame_get(&rest, &in) == CE_OK)
            signer_handle(s.signer, &in, &out);
        link_keep(rest);
        link_write(&out);
    }
    _exit(0);
}

static void signer_part(void)
{
    int fd[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
        exit(1);
    fflush(stdout);
    bool child = fork() == 0;
    link_fd = fd[child];
    close(fd[!child]);
    if (child)
        signer_serve();
}

/* Hands over what core asks, takes what has come back; waits when core has nothing else to do. */
static void signer_turn(void)
{
    struct buf out = BUF_INIT(0);
    for (size_t i = 0; i < s.n_asks; i++)
        ipc_frame_put(&out, s.asks[i].type, s.asks[i].token, buf_span(&s.asks[i].body));
    site_forget_asks(&s);
    link_write(&out);
    buf_free(&out);
    struct pollfd p = {.fd = link_fd, .events = POLLIN};
    if (poll(&p, 1, core_has_work(s.core) ? 0 : 1) <= 0)
        return;
    if (!link_read())
        exit(1);
    struct span rest = buf_span(&link_in);
    struct ipc_frame answer;
    while (ipc_frame_get(&rest, &answer) == CE_OK) {
        struct msg_signed m;
        site_must(msg_unpack_all(&msg_desc_signed, answer.body, &m), NULL, "signer's answer");
        core_signed(s.core, answer.rid, &m);
    }
    link_keep(rest);
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 20000, in_flight = argc > 2 ? atoi(argv[2]) : 64;
    struct who station = {0};
    site_open(&s);
    site_operator(&s, "line-1", "station", "", &station);
    site_device(&s, "first", "pump");
    struct buf *spki = mem_calloc((size_t)count, sizeof *spki);
    for (int i = 0; i < count; i++) { /* keys are the devices' work */
        struct key *k = site_new_key();
        buf_put_span(&spki[i], key_spki(k));
        key_free(k);
        char uid[32];
        snprintf(uid, sizeof uid, "dev-%07d", i);
        struct msg_device_add da = {.uid = span_str(uid), .serial = SPAN_LIT("SN"), .model = SPAN_LIT("m-pump")};
        (void)site_send(&s, &s.admin, &msg_desc_device_add, &da);
        if (i % 256 == 255)
            site_run(&s);
    }
    site_run(&s);
    site_wait(&s, 1500);
    site_replies_free(&s);
    int64_t *from = mem_calloc((size_t)count, sizeof *from), *took = mem_calloc((size_t)count, sizeof *took);
    uint64_t rid0 = s.rid + 1;
    int sent = 0, done = 0, bad = 0;
    struct fault f;
    int64_t core_cpu_us = 0, signer_cpu_us = 0;
    bool apart = argc > 3;
    if (apart) {
        signer_part();
        site_must(core_threads(s.core, &f), &f, "threads");
    }
    int64_t start = clock_mono_us();
    while (done < count) {
        for (; sent < count && sent - done < in_flight; sent++) {
            char uid[32];
            snprintf(uid, sizeof uid, "dev-%07d", sent);
            struct msg_enroll m = {.uid = span_str(uid), .spki = buf_span(&spki[sent]), .key_alg = SPAN_LIT("ec:P-256")};
            from[sent] = clock_mono_us();
            (void)site_send(&s, &station, &msg_desc_enroll, &m);
        }
        int64_t t0 = cpu_us();
        site_must(core_step(s.core, &f), &f, "core_step");
        int64_t t1 = cpu_us();
        (apart ? signer_turn : signer_here)();
        core_cpu_us += t1 - t0;
        signer_cpu_us += cpu_us() - t1;
        for (size_t i = 0; i < s.n_replies; i++) {
            took[done++] = clock_mono_us() - from[s.replies[i].rid - rid0];
            bad += s.replies[i].r.code != CE_OK;
        }
        site_replies_free(&s);
    }
    double secs = (double)(clock_mono_us() - start) / 1e6;
    qsort(took, (size_t)count, sizeof *took, cmp_i64);
    printf("{\"bench\":\"core_issue%s\",\"count\":%d,\"in_flight\":%d,\"refused\":%d,\"per_s\":%.0f,\"core_cpu_us\":%.1f,\"signer_cpu_us\":"
           "%.1f,\"p50_us\":%lld,\"p99_us\":%lld}\n",
           apart ? "_apart" : "", count, in_flight, bad, count / secs, (double)core_cpu_us / count, (double)signer_cpu_us / count,
           (long long)took[count / 2], (long long)took[(int64_t)count * 99 / 100]);
    for (int i = 0; i < count; i++)
        buf_free(&spki[i]);
    free(spki);
    free(from);
    free(took);
    buf_free(&station.der);
    site_close(&s);
    return bad != 0;
}
