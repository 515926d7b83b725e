/* core_crl.c: what CRLs list (store/crl_block.h) against a list kept otherwise, a database from before it, and kill -9 at random moments while CRLs are
 * made: whatever file is visible is whole, signed, in the evidence, and never older than the one before. */
#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/log.h"
#include "crypt/crl.h"
#include "store/crl.h"
#include "store/crl_block.h"
#include "store/schema.h"
#include "t/tap.h"
#include "t/unit/cert_site.h"

#define ROUNDS 25
#define SERIALS 3000
static struct site s;
static int64_t numbers[2][SITE_SHARDS];

/* -- the list ----------------------------------------------------------------------------------------------------------------- */
struct reference { bool listed; int64_t at; int reason; };
struct compare { const struct reference *all; size_t at, n; bool good; };

static void serial_of(size_t i, uint8_t out[20], size_t *n)
{
    memset(out, 0, 20);
    out[0] = (uint8_t)(1 + i / 256);
    out[1] = (uint8_t)i;
    *n = 2 + i % 19;
}

static bool compare_one(void *ctx, const struct crl_listed *c)
{
    struct compare *x = ctx;
    uint8_t serial[20];
    size_t n;
    while (x->at < SERIALS && !x->all[x->at].listed)
        x->at++;
    if (x->at < SERIALS) {
        serial_of(x->at, serial, &n);
        x->good = x->good && span_eq(c->serial, span_of(serial, n)) && c->revoked_at == x->all[x->at].at && c->reason == x->all[x->at].reason && c->not_after == 7000000000;
    }
    x->at++;
    x->n++;
    return x->good;
}

static bool equals(struct db *db, struct span kid, const struct reference *all, size_t want)
{
    struct compare x = { .all = all, .good = true };
    struct fault f = { 0 };
    return store_crl_list_each(db, kid, 3, compare_one, &x, &f) == CE_OK && x.good && x.n == want;
}

static void lists(void)
{
    static struct reference all[SERIALS];
    struct db *db;
    struct fault f = { 0 };
    const struct span kid = SPAN_LIT("kid-kid-kid-kid-kid-");
    bool good = true;
    size_t want = 0;
    site_must(db_open("", DB_MEMORY, &db, &f), &f, "database");
    site_must(schema_create(db, &f), &f, "schema");
    srand(11);
    for (int k = 0; k < 20000 && good; k++) {
        size_t i = (size_t)rand() % SERIALS, n;
        uint8_t serial[20];
        serial_of(i, serial, &n);
        struct reference now = { rand() % 3 > 0, 1000000000 + k, k % 5 };
        const struct crl_listed c = { span_of(serial, n), now.at, 7000000000, now.reason };
        good = (now.listed ? store_crl_list_put(db, kid, 3, &c, &f) : store_crl_list_drop(db, kid, 3, c.serial, &f)) == CE_OK;
        want = want + now.listed - all[i].listed;
        all[i] = now;
        if (k % 1000 == 999)
            good = good && equals(db, kid, all, want);
    }
    ok(good && equals(db, kid, all, want), "20 000 changes: %zu listed, in order, each as it was put last %s", want, f.text);
    int64_t blocks = 0, longest = 0;
    site_must(db_get_i64(db, "SELECT count(*) FROM crl_block", DB_NOARGS, 0, &blocks, &f), &f, "count");
    site_must(db_get_i64(db, "SELECT max(length(entries)) FROM crl_block", DB_NOARGS, 0, &longest, &f), &f, "length");
    ok(blocks > 40 && longest <= 880, "in %lld blocks of %lld bytes at most", (long long)blocks, (long long)longest);
    uint8_t long_one[21] = { 1 };
    const struct crl_listed bad = { span_of(long_one, 21), 1, 1, 1 };
    ok(store_crl_list_put(db, kid, 3, &bad, &f) == CE_BAD_FIELD, "a serial of 21 bytes is refused: %s", f.text);
    db_close(db);
}

/* -- a site ------------------------------------------------------------------------------------------------------------------- */
static void db_path(char *out) { path_join(out, "%s/db/cradle.db", s.dir); }

static void revoke_many(struct span kid)
{
    char path[PATH_MAX_LEN];
    struct db *db;
    struct fault f = { 0 };
    db_path(path);
    site_must(db_open(path, 0, &db, &f), &f, "database");
    site_must(db_begin(db, &f), &f, "begin");
    for (size_t i = 0; i < SERIALS; i++) {
        uint8_t serial[20];
        size_t n;
        serial_of(i, serial, &n);
        struct cert_state st = { .status = i % 7 ? CERT_REVOKED : CERT_SUPERSEDED, .revoked_at = clock_now_s() - 100, .reason = 1, .not_after = clock_now_s() + 864000 };
        st.shard = crl_shard_of(span_of(serial, n), SITE_SHARDS);
        site_must(store_cert_state_put(db, kid, span_of(serial, n), &st, &f), &f, "row");
    }
    site_must(db_ddl(db, "DELETE FROM crl_block", &f), &f, "blocks");
    site_must(db_ddl(db, "DELETE FROM meta WHERE name = 'crl_block'", &f), &f, "mark");
    site_must(db_commit(db, &f), &f, "commit");
    db_close(db);
}

static void all_due(void)
{
    char path[PATH_MAX_LEN];
    struct db *db;
    struct fault f = { 0 };
    db_path(path);
    site_must(db_open(path, 0, &db, &f), &f, "database");
    site_must(db_run(db, "UPDATE crl_shard SET dirty = dirty + 1", DB_NOARGS, NULL, &f), &f, "due");
    db_close(db);
}

/* The child: a core with its threads, and a signer, until it is killed. */
static void make_crls(void)
{
    struct fault f = { 0 };
    site_core_open(&s);
    site_must(core_threads(s.core, &f), &f, "threads");
    for (;;)
        site_wait(&s, 1000);
}

static bool file_good(struct db *db, const char *ca, unsigned shard, int64_t *number, bool *there)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(1 << 24), pem = BUF_INIT(65536);
    char path[PATH_MAX_LEN];
    struct crl crl;
    struct cert issuer;
    uint8_t digest[SHA256_LEN];
    struct fault f = { 0 };
    int64_t events = 0, claimed = 0;
    CLEANUP(buf_free) struct buf hex = BUF_INIT(0);
    path_join(path, "%s/pub/crl/%s/%u.crl", s.dir, ca, shard);
    *there = file_exists(path);
    if (!*there)
        return *number == 0;
    site_must(file_read(path, &der), NULL, path);
    path_join(path, "%s/ca/%s.pem", s.dir, ca);
    site_must(cert_load(path, &pem, &issuer, &f), &f, path);
    sha256(buf_span(&der), digest);
    buf_put_hex(&hex, span_of(digest, sizeof digest));
    if (crl_parse(buf_span(&der), &crl, &f) || crl_verify(&crl, &issuer))
        return false;
    site_must(db_get_i64(db, "SELECT count(*) FROM event WHERE kind = 'crl-published' AND json_extract(payload, '$.sha256') = $1", DB_ARGS(DB_T(buf_span(&hex))), 0, &events, &f), &f, "event");
    site_must(db_get_i64(db, "SELECT number FROM crl_shard WHERE kid = $1 AND shard = $2", DB_ARGS(DB_B(issuer.ski), DB_I(shard)), 0, &claimed, &f), &f, "number");
    bool good = events == 1 && (int64_t)crl.number >= *number && (int64_t)crl.number <= claimed;
    *number = (int64_t)crl.number;
    return good;
}

static size_t files(const char *folder)
{
    char path[PATH_MAX_LEN];
    size_t n = 0;
    path_join(path, "%s/%s", s.dir, folder);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static bool all_good(size_t *there)
{
    static const char *const cas[] = { "device", "infra" };
    char path[PATH_MAX_LEN];
    struct db *db;
    struct fault f = { 0 };
    bool good = true, is;
    db_path(path);
    site_must(db_open(path, DB_READONLY, &db, &f), &f, "database");
    *there = 0;
    for (unsigned i = 0; i < 2; i++)
        for (unsigned k = 0; k < SITE_SHARDS && good; k++) {
            good = file_good(db, cas[i], k, &numbers[i][k], &is);
            *there += is;
            if (!good)
                printf("# %s/%u\n", cas[i], k);
        }
    db_close(db);
    return good;
}

static void killed(void)
{
    size_t there = 0;
    bool good = true;
    for (int round = 0; round < ROUNDS && good; round++) {
        all_due();
        pid_t child = fork();
        if (child == 0)
            make_crls();
        usleep((useconds_t)(rand() % (round < ROUNDS / 2 ? 60000 : 400000)));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        good = all_good(&there);
    }
    ok(good, "%d kills: every CRL that is there is whole, signed, in the evidence, and not older than before", ROUNDS);
}

int main(void)
{
    struct core_ca ca;
    size_t there;
    log_setup("test", LOG_LEVEL_ERROR);
    lists();
    site_open(&s);
    core_ca(s.core, span_str("device"), &ca);
    CLEANUP(buf_free) struct buf kid = BUF_INIT(0);
    buf_put_span(&kid, ca.kid);
    core_close(s.core);
    site_forget_asks(&s);
    revoke_many(buf_span(&kid));
    killed();
    all_due();
    site_core_open(&s);
    for (int i = 0; i < 100 && site_count(&s, "SELECT count(*) FROM crl_shard WHERE dirty > 0"); i++)
        site_wait(&s, 50);
    ok(all_good(&there) && there == 2 * SITE_SHARDS && files("pub/.crl") == 0, "a core that lives makes all %zu, and leaves nothing beside them", there);
    ok(site_count(&s, "SELECT sum(json_extract(payload, '$.entries')) FROM (SELECT payload FROM event WHERE kind = 'crl-published' AND "
                      "json_extract(payload, '$.ca') = 'device' GROUP BY json_extract(payload, '$.shard') HAVING max(nseq))") ==
           site_count(&s, "SELECT count(*) FROM cert_state WHERE status = 1"), "a database from before the list: everything revoked is in it, and nothing else");
    site_close(&s);
    return done();
}
