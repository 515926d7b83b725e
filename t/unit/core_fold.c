/* core_fold.c: fold(events) = tables, over a random workload with restarts in between; and what no event explains is found. */
#include "t/unit/core_site.h"

static struct site s;
enum { ADMIN, ROOT2, OLGA, STATION };

/* xorshift: the same workload every time */
static uint64_t seed = 88172645463325252ull;
static unsigned roll(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed % n);
}

static void queue_random(int round)
{
    static const char *const states[] = { "active", "quarantined", "suspended", "revoked", "decommissioned" };
    char name[24], other[24];
    struct msg_caller c = site_caller(&s, roll(4) ? OLGA : ADMIN);
    snprintf(name, sizeof name, "d-%u", roll(300));
    snprintf(other, sizeof other, "n-%u", roll(30));
    c.if_match = roll(4) ? -1 : (int64_t)roll(4);
    switch (roll(10)) {
    case 8:
        site_queue(&s, &c, &msg_desc_line_set,
                   &(struct msg_line_set){ .name = roll(2) ? SPAN_LIT("pump") : span_str(other), .title = roll(2) ? SPAN_LIT("T") : SPAN_LIT(""), .defaults = roll(2),
                                           .write = roll(2) ? SPAN_LIT("a/%u\nb \"\xc3\xa4/#\n") : SPAN_LIT("\n"), .repair = roll(2) ? SPAN_LIT("r\n") : SPAN_LIT("bad#\n"),
                                           .state = roll(2) ? SPAN_LIT("suspended") : roll(2) ? SPAN_LIT("active") : SPAN_LIT("") });
        break;
    case 9:
        site_queue(&s, &c, &msg_desc_backend_set, &(struct msg_backend_set){ .name = SPAN_LIT("back"), .read = roll(2) ? SPAN_LIT("x/#\n") : SPAN_LIT("\n") });
        break;
    case 0: site_queue(&s, &c, &msg_desc_line_add, &(struct msg_line_add){ .name = span_str(other), .title = SPAN_LIT("L\"ine \xc3\xa4") }); break;
    case 1: site_queue(&s, &c, &msg_desc_model_add, &(struct msg_model_add){ .name = span_str(other), .line = SPAN_LIT("pump"), .hw_rev = SPAN_LIT("a") }); break;
    case 2:
    case 3:
    case 4:
        site_queue(&s, &c, &msg_desc_device_add, &(struct msg_device_add){ .uid = span_str(name), .model = round % 7 ? SPAN_LIT("m1") : SPAN_LIT("none") });
        break;
    default:
        site_queue(&s, &c, &msg_desc_device_state,
                   &(struct msg_device_state){ .uid = span_str(name), .state = span_str(states[roll(ARRAY_LEN(states))]), .reason = roll(2) ? SPAN_LIT("keyCompromise") : SPAN_LIT(""),
                                               .note = SPAN_LIT("n") });
    }
}

static void tampered(const char *sql, const char *word)
{
    char path[PATH_MAX_LEN];
    struct db *db = NULL;
    struct fault f = { 0 };
    path_join(path, "%s/db/cradle.db", s.dir);
    enum err e = db_open(path, 0, &db, &f);
    e = e ? e : db_begin(db, &f);
    e = e ? e : db_run(db, sql, DB_NOARGS, NULL, &f);
    enum err found = e ? CE_OK : core_fold_check(db, &f);
    ok(found == CE_LOG_INCONSISTENT && strstr(f.text, word), "found: %s", f.text);
    db_rollback(db);
    db_close(db);
}

int main(void)
{
    struct fault f = { 0 };
    struct msg_caller c;
    log_setup("test", LOG_LEVEL_ERROR);
    site_new(&s);
    site_must(site_open(&s, &f), "open", &f);
    c = site_caller(&s, ADMIN);
    site_queue(&s, &c, &msg_desc_line_add, &(struct msg_line_add){ .name = SPAN_LIT("pump"), .validity_s = 86400 });
    site_queue(&s, &c, &msg_desc_model_add, &(struct msg_model_add){ .name = SPAN_LIT("m1"), .line = SPAN_LIT("pump") });
    site_queue(&s, &c, &msg_desc_operator_remove, &(struct msg_operator_remove){ .name = SPAN_LIT("line-1") });
    for (int round = 0; round < 60; round++) {
        for (unsigned n = 1 + roll(60); n; n--)
            queue_random(round);
        site_must(site_run(&s), "run", NULL);
        if (round % 20 == 19) {
            site_close(&s);
            site_must(site_open(&s, &f), "open again", &f);
        }
        if (round % 10 == 9)
            ok(!site_fold(&s, &f), "fold after round %d: %s", round, f.code ? f.text : "equal");
    }
    ok(site_count(&s, "SELECT count(*) FROM device_state WHERE state = 'revoked'") > 5, "the workload did something");
    ok(site_count(&s, "SELECT count(*) - max(nseq) FROM event") == 0, "the stream is dense");
    ok(site_count(&s, "SELECT count(*) FROM (SELECT device, rev FROM event WHERE kind = 'device-state' GROUP BY device, rev HAVING count(*) > 1)") == 0,
       "no rev of a device twice");
    site_close(&s);
    tampered("UPDATE device_state SET state = 'active' WHERE state = 'revoked'", "device_state");
    tampered("DELETE FROM device WHERE uid = (SELECT min(uid) FROM device)", "device: row");
    tampered("UPDATE cert SET der = 'x' WHERE holder = 'olga'", "cert");
    tampered("DELETE FROM event WHERE nseq = 20", "hole");
    tampered("UPDATE event SET payload = '{\"at\":\"x\"}' WHERE kind = 'line-added'", "line-added");
    tampered("UPDATE operator SET role = 'admin' WHERE name = 'olga'", "operator");
    site_remove(&s);
    return done();
}
