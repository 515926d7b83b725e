/* Unit test of DSSE envelopes and TUF metadata: round trips, thresholds, refusals; key identifiers as other programs make them. */
#include "crypt/hash.h"
#include "t/tap.h"
#include "wire/canon_json.h"
#include "wire/directive.h"
#include "wire/msg.h"
#include "wire/tuf.h"

#define T0 1800000000

static struct arena arena;
static struct fault f;

static bool canon_is(const char *json, const char *want)
{
    CLEANUP(json_decref_p) json_t *v = NULL;
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    if (json_parse(span_str(json), &v, &f))
        return false;
    enum err e = canon_json_put(v, &out);
    return want ? !e && span_eq_str(buf_span(&out), want) : e == CE_BAD_JSON;
}

static void test_canon(void)
{
    ok(canon_is("{\"b\":1, \"a\":[true,null,false], \"B\":{}}", "{\"B\":{},\"a\":[true,null,false],\"b\":1}"), "keys are sorted by bytes, no white space");
    ok(canon_is("\"a\\\"b\\\\c\\n\\u00e9\"", "\"a\\\"b\\\\c\n\xc3\xa9\""), "only quote and backslash are escaped");
    ok(canon_is("-12", "-12") && canon_is("1.5", NULL), "whole numbers only");
    char deep[400] = { 0 };
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    ok(canon_is(deep, NULL), "depth is bounded");
}

static struct key *keys[6];
static struct tuf_keys ring;

static void keys_make(void)
{
    static const char *const algs[] = { "ec:P-256", "ed25519", "ec:P-256", "ec:P-256", "ec:P-256", "ec:P-256" };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (key_generate(algs[i], &keys[i], &f) || tuf_key_make(key_spki(keys[i]), &arena, &ring.list[ring.n++], &f))
            abort();
    }
}

static struct tuf_role role_of(const size_t *which, size_t n, int64_t threshold)
{
    struct tuf_role r = { .n_keyids = n, .threshold = threshold };
    for (size_t i = 0; i < n; i++)
        r.keyids[i] = ring.list[which[i]].id;
    return r;
}

static void test_key_id(void)
{
    /* what securesystemslib calls the Ed25519 key with the bytes 00 01 … 1f */
    uint8_t spki[44] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00 };
    struct tuf_key k;
    for (int i = 0; i < 32; i++)
        spki[12 + i] = (uint8_t)i;
    ok(!tuf_key_make(span_of(spki, sizeof spki), &arena, &k, &f) &&
           span_eq_str(k.id, "b5b3929e2eb1cd5fb401e8d8dd00a903bfac256d06eae9cc38a51d344e14583f"), "a key's identifier is the one that other programs give it");
}

static struct tuf_root root_make(void)
{
    struct tuf_root r = { .head = { 3, T0 }, .keys = ring, .directive = role_of((const size_t[]){ 5 }, 1, 1) };
    r.roles[TUF_ROOT] = role_of((const size_t[]){ 0, 1, 2 }, 3, 2);
    r.roles[TUF_TARGETS] = role_of((const size_t[]){ 1, 2 }, 2, 2);
    r.roles[TUF_SNAPSHOT] = role_of((const size_t[]){ 3 }, 1, 1);
    r.roles[TUF_TIMESTAMP] = role_of((const size_t[]){ 4 }, 1, 1);
    return r;
}

static void test_root(void)
{
    struct tuf_root r = root_make(), got;
    CLEANUP(buf_free) struct buf text = BUF_INIT(0), again = BUF_INIT(0);
    ok(!tuf_root_write(&r, &text) && !tuf_root_read(buf_span(&text), &arena, &got, &f), "a root is written and read: %s", f.text);
    ok(!tuf_root_write(&got, &again) && span_eq(buf_span(&text), buf_span(&again)), "… and comes out the same");
    ok(got.head.version == 3 && got.head.expires_s == T0 && got.roles[TUF_ROOT].threshold == 2 && got.directive.n_keyids == 1, "… with its fields");
    static const struct { const char *from, *to, *what; } bad[] = {
        { "\"_type\":\"root\"", "\"_type\":\"roof\"", "another type" },
        { "\"version\":3", "\"version\":0", "version 0" },
        { "\"version\":3", "\"version\":3.0", "a version that is no whole number" },
        { "\"spec_version\":\"1.", "\"spec_version\":\"2.", "another specification" },
        { "\"consistent_snapshot\":true", "\"consistent_snapshot\":false", "no consistent snapshots" },
        { "\"threshold\":2", "\"threshold\":4", "a threshold above the number of keys" },
        { "\"threshold\":2", "\"threshold\":0", "a threshold of nobody" },
        { "2027-01-15T08:00:00Z", "2027-01-15 08:00:00", "a time in another form" },
        { "\"timestamp\":", "\"timestamq\":", "a missing role" },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CLEANUP(buf_free) struct buf b = BUF_INIT(0);
        char *at = strstr(buf_cstr(&text), bad[i].from);
        if (at) {
            buf_put(&b, text.data, (size_t)(at - (char *)text.data));
            buf_put_str(&b, bad[i].to);
            buf_put_str(&b, at + strlen(bad[i].from));
        }
        ok(at && tuf_root_read(buf_span(&b), &arena, &got, &f) == CE_BAD_METADATA, "refused: %s (%s)", bad[i].what, f.text);
    }
}

static void test_threshold(void)
{
    struct tuf_role role = role_of((const size_t[]){ 0, 1, 2 }, 3, 2);
    struct dsse d = { .type = SPAN_LIT(DSSE_TYPE_TUF), .payload = SPAN_LIT("{}") }, got;
    CLEANUP(buf_free) struct buf text = BUF_INIT(0);
    ok(tuf_verify(&d, &ring, &role, &f) == CE_THRESHOLD, "no signature: %s", f.text);
    ok(!dsse_sign(&d, keys[0], ring.list[0].id, &arena, &f) && tuf_verify(&d, &ring, &role, &f) == CE_THRESHOLD, "one of two");
    d.sigs[1] = d.sigs[0];
    d.n_sigs = 2;
    ok(tuf_verify(&d, &ring, &role, &f) == CE_THRESHOLD, "the same signature twice counts once");
    d.n_sigs = 1;
    ok(!dsse_sign(&d, keys[3], ring.list[3].id, &arena, &f) && tuf_verify(&d, &ring, &role, &f) == CE_THRESHOLD, "a key of another role does not count");
    ok(!dsse_sign(&d, keys[3], ring.list[1].id, &arena, &f) && tuf_verify(&d, &ring, &role, &f) == CE_THRESHOLD, "… nor under a name of the role");
    ok(!dsse_sign(&d, keys[1], ring.list[1].id, &arena, &f) && d.n_sigs == 3 && !tuf_verify(&d, &ring, &role, &f), "two of three do");
    dsse_encode(&d, &text);
    ok(!dsse_parse(buf_span(&text), &arena, &got, &f) && got.n_sigs == 3 && !tuf_verify(&got, &ring, &role, &f), "… also after the envelope was written and read");
    got.payload = SPAN_LIT("{ }");
    ok(tuf_verify(&got, &ring, &role, &f) == CE_THRESHOLD, "another payload: none holds");
    got.payload = SPAN_LIT("{}");
    got.type = SPAN_LIT(DSSE_TYPE_DIRECTIVE);
    ok(tuf_verify(&got, &ring, &role, &f) == CE_BAD_ENVELOPE, "another payload type: %s", f.text);
    CLEANUP(buf_free) struct buf pae = BUF_INIT(0);
    dsse_pae(SPAN_LIT("http://example.com/HelloWorld"), SPAN_LIT("hello world"), &pae);
    ok(span_eq_str(buf_span(&pae), "DSSEv1 29 http://example.com/HelloWorld 11 hello world"), "the encoding is the protocol's own example");
}

static void test_envelope_refusals(void)
{
    static const char *const bad[] = { "", "[]", "{}", "{\"payloadType\":\"x\"}", "{\"payloadType\":\"x\",\"payload\":1,\"signatures\":[]}",
                                       "{\"payloadType\":\"x\",\"payload\":\"e30=\"}", "{\"payloadType\":\"x\",\"payload\":\"e30=\",\"signatures\":{}}",
                                       "{\"payloadType\":\"x\",\"payload\":\"!\",\"signatures\":[]}", "{\"payloadType\":\"x\",\"payload\":\"e30=\",\"signatures\":[1]}",
                                       "{\"payloadType\":\"x\",\"payload\":\"e30=\",\"signatures\":[{\"keyid\":\"a\"}]}" };
    struct dsse d;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ok(dsse_parse(span_str(bad[i]), &arena, &d, &f) != CE_OK, "no envelope: %s: %s", bad[i], f.text);
    ok(!dsse_parse(span_str("{\"payloadType\":\"x\",\"payload\":\"e30=\",\"signatures\":[],\"more\":1}"), &arena, &d, &f), "unknown members are ignored");
}

static void test_line(void)
{
    const uint8_t digest[SHA256_LEN] = { 1, 2, 3 };
    struct span sha = span_of(digest, sizeof digest);
    struct tuf_target t = { .path = SPAN_LIT("vib/r7/fw.bin"), .length = 5, .sha256 = sha, .release = SPAN_LIT("r7"), .version = SPAN_LIT("1.7.0"),
                            .min_version = SPAN_LIT("1.2.0"), .handler = SPAN_LIT("raw"), .models = { SPAN_LIT("vib-1") }, .n_models = 1, .counter = 4,
                            .sbom_sha256 = sha, .sbom_format = SPAN_LIT("cyclonedx"), .support_end = SPAN_LIT("2031-12-31"), .block_size = 1048576,
                            .blocks_sha256 = sha, .inner_sha256 = sha };
    struct tuf_line l = { .head = { 1, T0 }, .list = &t, .n = 1 }, got;
    CLEANUP(buf_free) struct buf text = BUF_INIT(0), again = BUF_INIT(0);
    ok(!tuf_line_write(&l, &text) && !tuf_line_read(buf_span(&text), SPAN_LIT("vib"), &arena, &got, &f), "a line's targets are written and read: %s", f.text);
    ok(!tuf_line_write(&got, &again) && span_eq(buf_span(&text), buf_span(&again)), "… and come out the same");
    ok(tuf_line_read(buf_span(&text), SPAN_LIT("other"), &arena, &got, &f) == CE_BAD_METADATA, "a target outside of the line's folder is refused: %s", f.text);
    t.n_models = 0;
    buf_reset(&text);
    ok(!tuf_line_write(&l, &text) && tuf_line_read(buf_span(&text), SPAN_LIT("vib"), &arena, &got, &f) == CE_BAD_METADATA, "a target for no model is refused");
}

static void test_others(void)
{
    const uint8_t digest[SHA256_LEN] = { 9 };
    struct tuf_role line = role_of((const size_t[]){ 1, 2 }, 2, 2);
    line.name = SPAN_LIT("vib");
    struct tuf_targets t = { .head = { 2, T0 }, .keys = ring, .lines = &line, .n_lines = 1 }, t2;
    struct tuf_meta meta[] = { { SPAN_LIT("targets.json"), 2, 0, { 0 } }, { SPAN_LIT("vib.json"), 1, 300, span_of(digest, sizeof digest) } };
    struct tuf_snapshot s = { .head = { 8, T0 }, .list = meta, .n = 2 }, s2;
    struct tuf_timestamp ts = { .head = { 9, T0 }, .snapshot = { SPAN_LIT("snapshot.json"), 8, 200, span_of(digest, sizeof digest) } }, ts2;
    CLEANUP(buf_free) struct buf a = BUF_INIT(0), b = BUF_INIT(0), c = BUF_INIT(0);
    ok(!tuf_targets_write(&t, &a) && !tuf_targets_read(buf_span(&a), &arena, &t2, &f) && t2.n_lines == 1 && span_eq_str(t2.lines[0].name, "vib") &&
           t2.lines[0].threshold == 2, "the top targets role delegates to a line: %s", f.text);
    ok(!tuf_snapshot_write(&s, &b) && !tuf_snapshot_read(buf_span(&b), &arena, &s2, &f) && s2.n == 2, "a snapshot: %s", f.text);
    ok(!tuf_timestamp_write(&ts, &c) && !tuf_timestamp_read(buf_span(&c), &arena, &ts2, &f) && ts2.snapshot.version == 8 && ts2.snapshot.sha256.n == 32,
       "a timestamp: %s", f.text);
    s.n = 0;
    buf_reset(&b);
    ok(!tuf_snapshot_write(&s, &b) && tuf_snapshot_read(buf_span(&b), &arena, &s2, &f) == CE_BAD_METADATA, "a snapshot without targets.json is refused");
}

static void test_directive(void)
{
    const uint8_t digest[SHA256_LEN] = { 7 };
    struct span sha = span_of(digest, sizeof digest);
    struct directive d = { .action = DIRECTIVE_INSTALL, .device = SPAN_LIT("dev-1"), .model = SPAN_LIT("vib-1"), .hw_rev = SPAN_LIT("B"), .line = SPAN_LIT("vib"),
                           .spki = sha, .sequence = 12, .issued_s = T0, .expires_s = T0 + 86400, .release = SPAN_LIT("r7"), .path = SPAN_LIT("vib/r7/fw.bin"),
                           .version = SPAN_LIT("1.7.0"), .sha256 = sha, .sbom_sha256 = sha, .length = 5, .counter_floor = 4,
                           .approvals = { { SPAN_LIT("ann"), T0 }, { SPAN_LIT("bob"), T0 } }, .n_approvals = 2 }, got;
    CLEANUP(buf_free) struct buf a = BUF_INIT(0), b = BUF_INIT(0);
    ok(!directive_write(&d, &a) && !directive_read(buf_span(&a), &arena, &got, &f) && got.n_approvals == 2 && got.sequence == 12, "a directive is written and read: %s", f.text);
    ok(!directive_write(&got, &b) && span_eq(buf_span(&a), buf_span(&b)), "… and comes out the same");
    buf_reset(&a);
    d.device = SPAN_LIT("../x");
    ok(!directive_write(&d, &a) && directive_read(buf_span(&a), &arena, &got, &f) == CE_BAD_UID, "a directive for an impossible device is refused: %s", f.text);
}

static void test_version(void)
{
    static const char *const rising[] = { "0", "0.9", "1-rc1", "1-rc2", "1", "1.0", "1.2", "1.2.1", "1.9", "1.10", "2.0-alpha", "2.0-beta", "2.0", "10", "99999999999999999999", "100000000000000000000" };
    bool good = true;
    for (size_t i = 0; i < ARRAY_LEN(rising); i++)
        for (size_t k = 0; k < ARRAY_LEN(rising); k++) {
            int d = version_cmp(span_str(rising[i]), span_str(rising[k]));
            good &= (d < 0) == (i < k) && (d == 0) == (i == k);
        }
    ok(good, "versions are ordered as written");
    ok(version_cmp(SPAN_LIT("1.02"), SPAN_LIT("1.2")) == 0 && !version_check(SPAN_LIT("1.2.3-rc1+b5"), &f), "zeros in front do not count");
    ok(version_check(SPAN_LIT("v1"), &f) == CE_BAD_NAME && version_check(SPAN_LIT("1 2"), &f) == CE_BAD_NAME, "%s", f.text);
}

int main(void)
{
    keys_make();
    test_canon();
    test_key_id();
    test_root();
    test_threshold();
    test_envelope_refusals();
    test_line();
    test_others();
    test_directive();
    test_version();
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        key_free(keys[i]);
    arena_free(&arena);
    return done();
}
