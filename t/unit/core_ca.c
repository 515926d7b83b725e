/* core_ca.c: the CAs of a site in the engine: what may be added, who issues for a use and a line, every allowed and forbidden change of state, who may
 * renew after a compromise, and that the tables follow from the events.
 */
#include "core/ca.h"
#include "core/engine.h"
#include "t/unit/core_site.h"

static struct site s;
enum { ADMIN, ROOT2, OLGA };
static struct ca root;

/* A CA under the site's root, or signed by itself. */
static void make(const char *cn, bool self, struct buf *der)
{
    struct key *key = NULL;
    struct fault f = { 0 };
    int64_t now = clock_now_s();
    struct issue_spec spec = { .cn = cn, .org = "Test", .not_before = now - 60, .not_after = now + 365 * 86400L };
    site_must(key_generate("ec:P-256", &key, &f), "key", &f);
    spec.spki = key_spki(key);
    buf_reset(der);
    site_must(self ? issue_root(key, &spec, der, &f) : issue_issuing(&root, &spec, false, der, &f), cn, &f);
    key_free(key);
}

static const struct site_reply *add(int op, const char *name, const char *use, struct span der)
{
    const struct msg_ca_add m = { .name = span_str(name), .use = span_str(use), .der = der, .key = SPAN_LIT("file:keys/x.key"), .note = SPAN_LIT("test") };
    return site_ask(&s, op, &msg_desc_ca_add, &m);
}
static const struct site_reply *set(const char *name, const char *state, bool force)
{
    const struct msg_ca_set m = { .name = span_str(name), .state = span_str(state), .force = force };
    return site_ask(&s, ADMIN, &msg_desc_ca_set, &m);
}
static int64_t reenroll(const char *name, int64_t percent)
{
    const struct msg_ca_set m = { .name = span_str(name), .reenroll = percent, .closed = percent == 0 };
    return site_ask(&s, ADMIN, &msg_desc_ca_set, &m)->r.code;
}
static int64_t line_ca(const char *line, const char *ca)
{
    const struct msg_line_set m = { .name = span_str(line), .ca = span_str(ca) };
    return site_ask(&s, ADMIN, &msg_desc_line_set, &m)->r.code;
}

static bool known(const char *name)
{
    struct core_ca ca;
    return core_ca(s.core, span_str(name), &ca);
}

/* Who issues, in the engine's own words. */
struct asked { const char *line; struct core_ca ca; enum err e; enum ca_use use; };
static enum err ask_issuing(struct batch *b, void *ctx, struct fault *f)
{
    struct asked *a = ctx;
    a->e = ca_issuing(b, a->use, span_str(a->line), &a->ca, f);
    *f = (struct fault){ 0 };
    return CE_OK;
}
static bool issues(enum ca_use use, const char *line, const char *name)
{
    struct asked a = { .line = line, .use = use };
    struct fault f;
    site_must(core_write(s.core, NULL, ask_issuing, &a, &f), "ask", NULL);
    return name ? a.e == CE_OK && span_eq_str(a.ca.name, name) : a.e == CE_CA_STATE;
}

static void crls_made(void)
{
    struct fault f;
    site_close(&s);
    site_must(site_open(&s, &f), "reopen", &f); /* a CA gets its CRLs when the roles start anew */
    site_must(db_run(core_db(s.core), "UPDATE crl_shard SET this_update = 1", DB_NOARGS, NULL, &f), "crls", &f);
}

static void adding(void)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX), other = BUF_INIT(CERT_MAX);
    make("Device two", false, &der);
    ok(issues(CA_USE_DEVICE, "", "device") && issues(CA_USE_INFRA, "", "infra"), "the CAs of init issue for what they are named after");
    ok(add(OLGA, "dev2", "device", buf_span(&der))->r.code == CE_ROLE_FORBIDDEN, "an operator does not add a CA");
    ok(add(ADMIN, "dev2", "idontknow", buf_span(&der))->r.code == CE_BAD_FIELD, "a use that is none: %s", site_reply(&s, s.rid)->text);
    ok(add(ADMIN, "root-x", "device", buf_span(&der))->r.code == CE_BAD_NAME && add(ADMIN, "x-ocsp", "device", buf_span(&der))->r.code == CE_BAD_NAME, "names of other files");
    ok(add(ADMIN, "dev2", "link", buf_span(&der))->r.code == CE_BAD_CERT, "a link needs a CA that is here");
    make("Foreign", true, &other);
    ok(add(ADMIN, "dev2", "device", buf_span(&other))->r.code == CE_BAD_CERT, "no root of ours signed it: %s", site_reply(&s, s.rid)->text);
    ok(add(ADMIN, "dev2", "device", span_of(der.data, der.len - 1))->r.code != CE_OK, "half a certificate");
    ok(add(ADMIN, "dev2", "device", buf_span(&der))->r.code == CE_OK && issues(CA_USE_DEVICE, "", "device"), "one is added, and issues nothing yet");
    ok(add(ADMIN, "dev2", "device", buf_span(&der))->r.code == CE_EXISTS && add(ADMIN, "dev3", "device", buf_span(&der))->r.code == CE_BAD_CERT, "not twice, under no name");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'ca-ceremony'") == 1 && site_count(&s, "SELECT count(*) FROM event WHERE kind = 'ca-added'") == 4,
       "with the record of its ceremony, and no event of what was refused");
    ok(add(ADMIN, "root2", "root", buf_span(&other))->r.code == CE_OK, "a new root signs itself");
}

/* The database fails when all is decided: what core has in memory is what the tables have. */
static void undone(void)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    struct fault f;
    make("Device undone", false, &der);
    site_must(db_run(core_db(s.core), "ALTER TABLE crl_shard RENAME TO crl_shard_away", DB_NOARGS, NULL, &f), "away", &f);
    ok(add(ADMIN, "undone", "device", buf_span(&der))->r.code != CE_OK, "a CA cannot be added without its CRLs' table: %s", site_reply(&s, s.rid)->text);
    site_must(db_run(core_db(s.core), "ALTER TABLE crl_shard_away RENAME TO crl_shard", DB_NOARGS, NULL, &f), "back", &f);
    ok(!known("undone") && known("device") && site_count(&s, "SELECT count(*) FROM ca WHERE name = 'undone'") == 0, "it is in the memory no more than in the tables");
    ok(add(ADMIN, "undone", "device", buf_span(&der))->r.code == CE_OK && known("undone"), "and can be added afterwards");
}

static void rollover(void)
{
    ok(set("dev2", "active", false)->r.code == CE_CA_STATE, "not before the signer has its key: %s", site_reply(&s, s.rid)->text);
    crls_made();
    ok(set("root2", "active", false)->r.code == CE_CA_STATE, "a root is not activated");
    ok(set("dev2", "passive", false)->r.code == CE_BAD_FIELD, "nobody asks for passive");
    ok(set("dev2", "active", false)->r.code == CE_OK && issues(CA_USE_DEVICE, "", "dev2"), "activated, it issues");
    ok(site_count(&s, "SELECT count(*) FROM ca_state WHERE use = 'device' AND state = 'active'") == 1, "one CA is active for a use");
    ok(line_ca("pump", "nobody") == CE_BAD_FIELD && line_ca("pump", "infra") == CE_BAD_FIELD, "a line names a CA for devices");
    ok(line_ca("pump", "device") == CE_OK && issues(CA_USE_DEVICE, "pump", "device") && issues(CA_USE_DEVICE, "other", "dev2"), "a line that names a CA has its own");
    ok(issues(CA_USE_INFRA, "pump", "infra"), "for devices alone");
    const struct msg_line_set undone = { .name = SPAN_LIT("pump"), .ca = SPAN_LIT("default"), .key_home = SPAN_LIT("moon") };
    ok(site_ask(&s, ADMIN, &msg_desc_line_set, &undone)->r.code == CE_BAD_FIELD && issues(CA_USE_DEVICE, "pump", "device"), "what is undone with a refusal is not remembered");
    ok(set("device", "retired", true)->r.code == CE_CA_STATE, "it cannot be retired then: %s", site_reply(&s, s.rid)->text);
    ok(line_ca("pump", "default") == CE_OK && issues(CA_USE_DEVICE, "pump", "dev2"), "a line goes back to the active one");
    ok(set("device", "active", false)->r.code == CE_OK && set("dev2", "active", false)->r.code == CE_OK, "an activation is taken back by another");
}

static void endings(void)
{
    ok(set("dev2", "retired", true)->r.code == CE_CA_STATE, "who issues is not retired");
    ok(set("infra", "retired", true)->r.code == CE_CA_STATE && set("infra", "compromised", false)->r.code == CE_CA_STATE, "the caller's own CA: %s",
       site_reply(&s, s.rid)->text);
    ok(set("root", "compromised", false)->r.code == CE_CA_STATE, "a root is not declared compromised");
    ok(reenroll("dev2", 10) == CE_CA_STATE, "re-enrollment is for compromised CAs");
    ok(set("device", "retired", false)->r.code == CE_OK, "a passive CA without live certificates is retired");
    ok(set("device", "retired", false)->r.code == CE_CA_STATE && set("device", "active", false)->r.code == CE_CA_STATE, "once, and for good");
    ok(line_ca("pump", "device") == CE_CA_STATE, "no line names it any more");
    ok(set("device", "compromised", false)->r.code == CE_OK, "its key may be stolen later");
    ok(set("dev2", "compromised", false)->r.code == CE_OK && issues(CA_USE_DEVICE, "", NULL), "the active one too: nobody issues then");
    ok(set("dev2", "retired", true)->r.code == CE_CA_STATE && set("dev2", "active", false)->r.code == CE_CA_STATE, "nothing leads back");
    ok(reenroll("dev2", 101) != CE_OK && reenroll("dev2", 30) == CE_OK && reenroll("dev2", 0) == CE_OK, "the way for devices opens and closes");
    ok(set("root", "retired", false)->r.code == CE_OK && set("root2", "retired", false)->r.code == CE_CA_STATE, "the last root stays");
}

static bool lets_in(const char *uid)
{
    struct core_ca ca;
    struct fault f;
    core_ca(s.core, span_str("dev2"), &ca);
    static const uint8_t key[32];
    const struct msg_caller m = { .kid = ca.kid, .spki = span_of(key, sizeof key) };
    struct caller c = { .m = &m, .kind = CALLER_DEVICE, .name = span_str(uid) };
    return ca_reenroll_judge(s.core, &c, &f) == CE_OK && c.role;
}

static void waves(void)
{
    int before = 0, after = 0;
    bool kept = true;
    char uid[16];
    site_must(reenroll("dev2", 20) ? CE_INTERNAL : CE_OK, "open", NULL);
    bool in[1000];
    for (int i = 0; i < 1000; i++) {
        snprintf(uid, sizeof uid, "dev-%d", i);
        before += in[i] = lets_in(uid);
    }
    site_must(reenroll("dev2", 60) ? CE_INTERNAL : CE_OK, "open more", NULL);
    for (int i = 0; i < 1000; i++) {
        snprintf(uid, sizeof uid, "dev-%d", i);
        bool now = lets_in(uid);
        after += now;
        kept &= now || !in[i];
    }
    ok(before > 150 && before < 250 && after > 540 && after < 660 && kept, "waves are shares of the fleet, and grow (%d, then %d of 1000)", before, after);
    struct caller operator = { .m = &(struct msg_caller){ .kid = span_of(s.kid, 20) }, .kind = CALLER_INFRA, .name = SPAN_LIT("admin") };
    struct fault f;
    ok(ca_reenroll_judge(s.core, &operator, &f) == CE_CA_COMPROMISED, "the way is for devices");
}

int main(void)
{
    struct fault f;
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    struct key *key = NULL;
    char path[PATH_MAX_LEN];
    site_new(&s);
    path_join(path, "%s/root.key", s.dir);
    site_must(key_read_file(path, NULL, &key, &f), "root key", &f);
    path_join(path, "%s/root.der", s.dir);
    site_must(file_read(path, &der), "root", NULL);
    site_must(ca_open(&root, "root", buf_span(&der), key, "http://127.0.0.1:1", 1, &f), "root", &f);
    site_must(site_open(&s, &f), "open", &f);
    const struct msg_line_add pump = { .name = SPAN_LIT("pump") }, other = { .name = SPAN_LIT("other") };
    site_must(site_ask(&s, ADMIN, &msg_desc_line_add, &pump)->r.code || site_ask(&s, ADMIN, &msg_desc_line_add, &other)->r.code ? CE_INTERNAL : CE_OK, "lines", NULL);
    adding();
    undone();
    rollover();
    endings();
    waves();
    crls_made();
    ok(issues(CA_USE_DEVICE, "", NULL), "after a restart the states are the same");
    site_close(&s);
    ok(site_fold(&s, &f) == CE_OK, "the tables follow from the events %s", f.code ? f.text : "");
    ca_close(&root);
    site_remove(&s);
    return done();
}
