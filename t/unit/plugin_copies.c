/* plugin_copies.c: copies at one broker: what the plugin reports of its sessions, and the policy `refuse`. The score: wire_clone.c. */
#include "base/clock.h"
#include "base/mem.h"
#include "plugin/copies.h"
#include "t/tap.h"
#include "wire/snapshot.h"

static struct session_table *table;
static struct copies copies;
static struct outbox_report r;
static char clients[64];

static struct peer peer_of(const char *uid)
{
    struct peer p = { .kind = PEER_DEVICE, .not_after = INT64_MAX };
    snprintf(p.cn, sizeof p.cn, "%s", uid);
    snapshot_key_ident(span_str(uid), p.ident_key);
    memcpy(p.cert_key, p.ident_key, SNAPSHOT_KEY);
    return p;
}

static struct session *begin(const char *uid, int client, const char *addr, bool *told)
{
    static int64_t number;
    struct peer p = peer_of(uid);
    struct session *s = session_add(table, &clients[client], &p, addr);
    s->number = ++number;
    s->keepalive_s = 60;
    *told = copies_begun(&copies, s, &r);
    return s;
}

static void end(struct session *s)
{
    copies_ended(&copies, s);
    session_remove(table, s);
}

static void test_swaps(void)
{
    bool told, any = false;
    struct session *s[4];
    for (int i = 0; i < 4; i++) {
        s[i] = begin("twin", i, i % 2 ? "10.0.0.2" : "10.0.0.1", &told);
        if (i)
            end(s[i - 1]); /* the broker does it after the newcomer's login */
        any |= told && i < 3;
    }
    ok(!any && told, "two addresses that displace each other are reported at the third swap");
    ok(!strcmp(r.kind, "clone-suspected") && !strcmp(r.reason, "returned") && !strcmp(r.addr, "10.0.0.2") && !strcmp(r.other, "10.0.0.1") && r.count == 3 &&
           r.score == CLONE_ENOUGH && !strcmp(r.uid, "twin"), "with both addresses, swaps and score: %s", r.text);
    end(s[3]);
    struct session *calm = NULL;
    for (int i = 0; i < 20; i++) {
        calm = begin("calm", 10, i % 2 ? "10.0.0.2" : "10.0.0.1", &told);
        any |= told;
        end(calm);
    }
    ok(!any, "who closes before it comes again is none");
}

static enum err refuse(const char *uid, int client, const char *addr, int64_t at_ms, bool *alarm)
{
    struct peer p = peer_of(uid);
    struct fault f = { 0 };
    return copies_refuse(&copies, &p, &clients[client], addr, at_ms, alarm, &r, &f);
}

static void test_refuse(void)
{
    bool told, alarm;
    int64_t now = clock_mono_ms();
    struct session *s = begin("kept", 20, "10.0.0.1", &told);
    ok(!refuse("kept", 21, "10.0.0.1", now, &alarm) && !refuse("other", 21, "10.0.0.2", now, &alarm), "the own address, another identity: let in");
    ok(!refuse("kept", 20, "10.0.0.2", now, &alarm), "the client itself");
    ok(refuse("kept", 21, "10.0.0.2", now, &alarm) == CE_CLONE_REFUSED && !alarm, "another address: refused, which proves nothing yet");
    ok(!copies_heard(&copies, s, now + 10000, &r), "a device may have had something in a queue when it changed its network");
    ok(copies_heard(&copies, s, now + CLONE_LATE_MS + 1, &r) && !strcmp(r.reason, "refused") && !strcmp(r.addr, "10.0.0.2") && !strcmp(r.other, "10.0.0.1"),
       "but the one that is in goes on: %s", r.text);
    ok(!copies_heard(&copies, s, now + 60000, &r), "told once");
    end(s);
    s = begin("quiet", 22, "10.0.0.1", &told);
    ok(refuse("quiet", 23, "10.0.0.2", now, &alarm) == CE_CLONE_REFUSED && refuse("quiet", 23, "10.0.0.2", now + 90000, &alarm) == CE_CLONE_REFUSED && !alarm,
       "a half-open session keeps the device out for one and a half keepalives");
    ok(refuse("quiet", 23, "10.0.0.2", now + 121000, &alarm) == CE_CLONE_REFUSED && alarm && r.count == 3,
       "one that outlives that has a holder, who says nothing");
    s->kicked = true;
    ok(!refuse("quiet", 23, "10.0.0.2", now + 122000, &alarm), "one that is being put out defends nothing");
    end(s);
}

int main(void)
{
    table = session_table_new();
    copies_open(&copies, table);
    test_swaps();
    test_refuse();
    copies_close(&copies);
    session_table_free(table);
    return done();
}
