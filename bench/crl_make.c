/* crl_make.c: signed CRLs of ENTRIES revoked certificates in SHARDS shards, as core and signer make them: rows read from the database on
 * disk, entries as DER, every message of msg.def to the signer and back over a socketpair (another process), the file written, read again, verified, durable.
 * As in core (crl.c) a thread gathers and finishes, four shards are in the making at most, the end of one before the beginning of another, while the pieces of
 * one go to the signer.
 * The work is done in a child, so that its memory is its own. Usage: crl_make [ENTRIES [SHARDS [DIR]]]: with DIR the CRLs and the CA's certificate stay there.
 * Prints one line of JSON; ms: wall; cpu_ms: user and system, of both processes; extra_kib: what the maker's memory grew by at most, signer_kib: the signer's.
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/crl.h"
#include "core/crl_make.h"
#include "core/job_thread.h"
#include "crypt/hash.h"
#include "role/signer.h"
#include "store/cert.h"
#include "store/crl.h"
#include "store/crl_block.h"
#include "store/schema.h"
#include "t/unit/crypt_site.h"
#include "wire/msg.h"

static char dir[64], db_path[PATH_MAX_LEN];
static unsigned n_shards;
static struct fault f;

static void fill(struct span kid, int entries)
{
    struct db *db;
    site_must(db_open(db_path, DB_CREATE, &db, &f), &f, "database");
    site_must(schema_create(db, &f), &f, "schema");
    site_must(db_begin(db, &f), &f, "begin");
    int64_t from = clock_mono_us();
    for (int i = 0; i < entries; i++) {
        uint8_t serial[16];
        site_must(random_bytes(serial, sizeof serial), NULL, "random");
        serial[0] = (uint8_t)(1 + serial[0] % 127);
        struct span s = span_of(serial, sizeof serial);
        struct cert_state st = {
            .status = CERT_REVOKED, .revoked_at = clock_now_s() - i % 86400, .reason = 1 + i % 5, .not_after = clock_now_s() + 864000, .shard = crl_shard_of(s, n_shards)};
        const struct crl_listed c = {s, st.revoked_at, st.not_after, st.reason};
        site_must(store_cert_state_put(db, kid, s, &st, &f), &f, "row");
        site_must(store_crl_list_put(db, kid, st.shard, &c, &f), &f, "block");
    }
    fprintf(stderr, "rows: %.1f us each\n", (double)(clock_mono_us() - from) / entries);
    site_must(store_crl_ensure(db, kid, n_shards, &f), &f, "shards");
    site_must(db_commit(db, &f), &f, "commit");
    db_close(db);
}

static long memory_kib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

static double cpu_ms(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

/* -- the signer, in its own process ------------------------------------------------------------------------------------------- */
static void signer_serve(int fd, double *cpu)
{
    const struct signer_config c = {.dir = dir, .base_url = SITE_URL, .n_shards = n_shards};
    struct signer *s;
    CLEANUP(buf_free) struct buf in = BUF_INIT(IPC_MAX), out = BUF_INIT(IPC_MAX);
    struct ipc_frame frame;
    site_must(signer_open(&c, &s, &f), &f, "signer");
    *cpu = cpu_ms();
    site_must(file_write_all(fd, SPAN_LIT("r")), NULL, "word that it is ready");
    for (ssize_t n = 1; n > 0;) {
        uint8_t *at = buf_grow(&in, 262144);
        n = read(fd, at, 262144);
        in.len -= 262144 - (n > 0 ? (size_t)n : 0);
        struct span rest = buf_span(&in);
        while (ipc_frame_get(&rest, &frame) == CE_OK)
            signer_handle(s, &frame, &out);
        buf_drop(&in, in.len - rest.n);
        site_must(file_write_all(fd, buf_span(&out)), NULL, "answer");
        buf_reset(&out);
    }
    signer_close(s);
}

static void ask(int fd, const struct msg_desc *d, const void *m)
{
    CLEANUP(buf_free) struct buf packed = BUF_INIT(0), frame = BUF_INIT(0);
    msg_pack(d, m, &packed);
    ipc_frame_put(&frame, (uint16_t)d->type, 1, buf_span(&packed));
    site_must(file_write_all(fd, buf_span(&frame)), NULL, "request");
}

/* The next answer. */
static void answer(int fd, struct buf *in, struct buf *body)
{
    struct ipc_frame frame;
    struct msg_signed m;
    for (;;) {
        struct span rest = buf_span(in);
        if (ipc_frame_get(&rest, &frame) == CE_OK) {
            site_must(msg_unpack_all(&msg_desc_signed, frame.body, &m), NULL, "answer");
            site_must((enum err)m.code, NULL, "the signer");
            buf_reset(body);
            buf_put_span(body, m.body);
            buf_drop(in, in->len - rest.n);
            return;
        }
        uint8_t *at = buf_grow(in, 65536);
        ssize_t n = read(fd, at, 65536);
        in->len -= 65536 - (n > 0 ? (size_t)n : 0);
        site_must(n > 0 ? CE_OK : CE_IO, NULL, "the signer is gone");
    }
}

/* -- the thread: what it has in hand, and how far all shards are ------------------------------------------------------------------ */
static struct making {
    struct crl_job *jobs;      /* n_shards */
    struct job_thread *thread;
    struct crl_job *in_hand;   /* of the thread; NULL: it rests */
    bool is_end;               /* in hand is the end of one */
    unsigned begun, gathered, is_signed, finishing, finished;
} making;

/* Takes what the thread has done, and gives it what is next. */
static void thread_turn(struct making *m)
{
    enum err e;
    if (m->in_hand && job_thread_take(m->thread, &e)) {
        site_must(e, &m->in_hand->why, m->is_end ? "finish" : "gather");
        *(m->is_end ? &m->finished : &m->gathered) += 1;
        if (m->is_end)
            crl_job_end(m->in_hand);
        m->in_hand = NULL;
    }
    if (m->in_hand)
        return;
    m->is_end = m->finishing < m->is_signed;
    if (m->is_end)
        m->in_hand = &m->jobs[m->finishing++];
    else if (m->begun < n_shards && m->begun - m->finished < CRL_BUSY_MAX)
        m->in_hand = &m->jobs[m->begun++];
    if (m->in_hand)
        job_thread_give(m->thread, m->is_end ? crl_finish : crl_gather, m->in_hand);
}

static void thread_wait(struct making *m, const unsigned *count, unsigned most)
{
    for (thread_turn(m); *count < most; thread_turn(m))
        (void)job_thread_wait(m->thread, 1000);
}

static void shard_sign(int fd, struct crl_job *j)
{
    CLEANUP(buf_free) struct buf piece = BUF_INIT(CRL_PIECE), in = BUF_INIT(0);
    const struct msg_sign_crl_begin begin = {.ca = SPAN_LIT("device"), .shard = j->shard, .number = j->number, .this_update = j->this_update,
                                             .next_update = j->next_update, .entries = (int64_t)j->entries, .bytes = (int64_t)j->bytes};
    const struct msg_sign_crl_end end = {SPAN_LIT("device"), j->shard};
    unsigned open = 1;
    ask(fd, &msg_desc_sign_crl_begin, &begin);
    for (uint64_t at = 0; at < j->bytes; open++) {
        if (open == CRL_WINDOW) {
            answer(fd, &in, &j->list);
            open--;
        }
        thread_turn(&making);
        site_must(crl_piece(j, &at, &piece), NULL, "piece");
        const struct msg_sign_crl_part part = {SPAN_LIT("device"), j->shard, buf_span(&piece)};
        ask(fd, &msg_desc_sign_crl_part, &part);
    }
    ask(fd, &msg_desc_sign_crl_end, &end);
    for (open++; open; open--)
        answer(fd, &in, &j->list);
}

static void work(struct ca *ca, int entries, const char *keep, int fd)
{
    struct db *db;
    uint64_t listed = 0, bytes = 0;
    site_must(db_open(db_path, DB_READONLY | DB_SMALL, &db, &f), &f, "database");
    char ready;
    site_must(read(fd, &ready, 1) == 1 ? CE_OK : CE_IO, NULL, "the signer does not start");
    long before = memory_kib();
    double cpu = cpu_ms();
    struct making *m = &making;
    m->jobs = mem_calloc(n_shards, sizeof *m->jobs);
    m->thread = job_thread_new(-1);
    int64_t from = clock_mono_us(), now = clock_now_s();
    site_must(job_thread_start(m->thread, &f), &f, "thread");
    for (unsigned shard = 0; shard < n_shards; shard++) {
        m->jobs[shard] = (struct crl_job){.db = db, .kid = ca->cert.ski, .ca_der = buf_span(&ca->der), .shard = shard, .fd = -1, .number = 1, .this_update = now,
                                          .next_update = now + 86400, .ended_after_s = now, .list = BUF_INIT(0)};
        path_join(m->jobs[shard].temp, "%s/%u.crl", keep ? keep : dir, shard);
    }
    for (unsigned shard = 0; shard < n_shards; shard++) {
        thread_wait(m, &m->gathered, shard + 1);
        shard_sign(fd, &m->jobs[shard]);
        m->is_signed++;
    }
    thread_wait(m, &m->finished, n_shards);
    for (unsigned shard = 0; shard < n_shards; shard++) {
        listed += m->jobs[shard].entries;
        bytes += m->jobs[shard].bytes;
    }
    double ms = (double)(clock_mono_us() - from) / 1e3;
    if (listed != (uint64_t)entries)
        site_must(CE_INTERNAL, NULL, "entries are missing");
    printf("\"ms\":%.1f,\"maker_cpu_ms\":%.1f,\"bytes\":%llu,\"extra_kib\":%ld", ms, cpu_ms() - cpu, (unsigned long long)bytes, memory_kib() - before);
    (void)job_thread_stop(m->thread, 1000);
    free(m->jobs);
    db_close(db);
}

int main(int argc, char **argv)
{
    int entries = argc > 1 ? atoi(argv[1]) : 1000000, status, fds[2];
    struct ca root, ca;
    n_shards = argc > 2 ? (unsigned)atoi(argv[2]) : 16;
    site_make(dir, &root, n_shards);
    path_join(db_path, "%s/bench.db", dir);
    site_must(ca_load(&ca, dir, "device", SITE_URL, n_shards, &key_source_files, &f), &f, "ca");
    pid_t pid = fork();
    if (pid == 0) {
        fill(ca.cert.ski, entries);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    site_must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) ? CE_IO : CE_OK, NULL, "socketpair");
    printf("{\"bench\":\"crl_make\",\"entries\":%d,\"shards\":%u,", entries, n_shards);
    fflush(stdout);
    pid = status ? -1 : fork();
    if (pid == 0) {
        close(fds[0]);
        long before = memory_kib();
        double cpu;
        signer_serve(fds[1], &cpu);
        printf(",\"signer_cpu_ms\":%.1f,\"signer_kib\":%ld}\n", cpu_ms() - cpu, memory_kib() - before);
        fflush(stdout);
        _exit(0);
    }
    close(fds[1]);
    pid_t maker = fork();
    if (maker == 0) {
        work(&ca, entries, argc > 3 ? argv[3] : NULL, fds[0]);
        fflush(stdout);
        _exit(0);
    }
    waitpid(maker, &status, 0);
    close(fds[0]);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    if (argc > 3)
        status |= site_sh("cp %s/ca/device.pem %s/ca/bundle.pem %s/", dir, dir, argv[3]) ? 0 : 1;
    ca_close(&ca);
    ca_close(&root);
    site_remove(dir);
    return status != 0;
}
