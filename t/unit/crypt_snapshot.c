/* crypt_snapshot.c: the revocation snapshot and its frames: encode, parse, verify, refuse. */
#include "crypt/hash.h"
#include "t/tap.h"
#include "t/unit/crypt_site.h"
#include "wire/snapshot.h"

static struct key *stream, *other;
static uint8_t pub[32], other_pub[32];

static void keys(void)
{
    uint8_t a[20], b[20], want[32];
    snapshot_key_ident(SPAN_LIT("dev-1"), a);
    sha256(SPAN_LIT("uiddev-1"), want);
    ok(memcmp(a, want, 20) == 0, "key of an identity is as documented");
    snapshot_key_line(SPAN_LIT("pump"), a);
    sha256(SPAN_LIT("linepump"), want);
    ok(memcmp(a, want, 20) == 0, "key of a line");
    snapshot_key_policy(SPAN_LIT("cradle-policy 1\n"), a);
    sha256(SPAN_LIT("policycradle-policy 1\n"), want);
    ok(memcmp(a, want, 20) == 0, "key of a policy document");
    snapshot_key_cert(SPAN_LIT("01234567890123456789"), SPAN_LIT("\1\2"), a);
    sha256(SPAN_LIT("cert01234567890123456789\1\2"), want);
    snapshot_key_cert(SPAN_LIT("01234567890123456789"), SPAN_LIT("\1\3"), b);
    ok(memcmp(a, want, 20) == 0 && memcmp(a, b, 20) != 0, "key of a certificate");
}

static void vectors(void)
{
    static const char *const good[] = { "", "1:0", "1:5", "1:5,2:7", "3:9007199254740991" };
    static const char *const bad[] = { ",", "1", "1:", ":1", "1:5,", ",1:5", "2:5,1:7", "1:5,1:6", "01:5", "1:05", "0:1", "-1:5", "1:-5", "1:5;2:7", "1: 5", "a:1", "1:5,,2:7" };
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        ok(snapshot_vector_valid(span_str(good[i])), "vector '%s'", good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ok(!snapshot_vector_valid(span_str(bad[i])), "no vector: '%s'", bad[i]);
    static const struct { const char *before, *now; enum err want; } rows[] = {
        { "", "", CE_OK }, { "", "1:5", CE_OK }, { "1:5", "1:5", CE_OK }, { "1:5", "1:6", CE_OK }, { "1:5", "1:5,2:1", CE_OK },
        { "2:5", "1:1,2:5", CE_OK }, { "1:5", "1:4", CE_VECTOR_LOWER }, { "1:5", "", CE_VECTOR_LOWER }, { "1:5,2:7", "1:9", CE_VECTOR_LOWER },
        { "1:5,2:7", "1:9,2:6", CE_VECTOR_LOWER }, { "2:7", "1:9", CE_VECTOR_LOWER }, { "1:5", "2:9", CE_VECTOR_LOWER }, { "1:5", "x", CE_BAD_FRAME },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        ok(snapshot_vector_check(span_str(rows[i].before), span_str(rows[i].now)) == rows[i].want, "'%s' then '%s': %s", rows[i].before, rows[i].now, err_name(rows[i].want));
}

static void put_key(struct buf *b, uint8_t first) { buf_put_u8(b, first); uint8_t zero[19] = { 0 }; buf_put(b, zero, 19); }

/* A snapshot with the body given, and a policy's key after it; n = counts. */
static void build(struct span keys, uint32_t certs, uint32_t idents, uint32_t lines, uint32_t repair, struct buf *out)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    uint8_t digest[32];
    buf_put_span(&body, keys);
    put_key(&body, 77);
    sha256(buf_span(&body), digest);
    struct snapshot_header h = { .at_ms = 1234567890123, .n = { certs, idents, lines, repair, 1 }, .body_sha256 = span_of(digest, 32),
                                 .vector = SPAN_LIT("1:42,2:7") };
    buf_reset(out);
    site_must(snapshot_header_encode(&h, stream, out), NULL, "header");
    buf_put_span(out, buf_span(&body));
}

static void snapshots(void)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0), all = BUF_INIT(0);
    struct snapshot s;
    uint8_t key[20] = { 2 };
    put_key(&body, 1), put_key(&body, 2), put_key(&body, 9); /* certs */
    put_key(&body, 2);                                       /* ident */
    put_key(&body, 4), put_key(&body, 5);                    /* in quarantine */
    build(buf_span(&body), 3, 1, 0, 2, &all);
    ok(snapshot_open(buf_span(&all), pub, &s) == CE_OK && s.header.n[0] == 3 && s.header.at_ms == 1234567890123 &&
       span_eq_str(s.header.vector, "1:42,2:7"), "opened");
    ok(snapshot_find(s.keys[0], 3, key) && snapshot_find(s.keys[1], 1, key) && !snapshot_find(s.keys[2], 0, key), "found");
    key[0] = 3;
    ok(!snapshot_find(s.keys[0], 3, key), "not found");
    key[0] = 5;
    ok(snapshot_find(s.keys[3], 2, key) && s.keys[4][0] == 77, "who is in quarantine, and the policy");
    ok(snapshot_open(buf_span(&all), other_pub, &s) == CE_BAD_SIGNATURE, "another key: refused");
    unsigned accepted = 0;
    for (size_t i = 0; i < all.len * 8; i++) {
        all.data[i / 8] ^= (uint8_t)(1u << i % 8);
        accepted += snapshot_open(buf_span(&all), pub, &s) == CE_OK;
        all.data[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    ok(accepted == 0, "each flipped bit is refused");
    for (size_t n = 0; n < all.len; n++)
        accepted += snapshot_open(span_of(all.data, n), pub, &s) != CE_TRUNCATED;
    ok(accepted == 0, "cut short at each byte: truncated");
    buf_put_u8(&all, 0);
    ok(snapshot_open(buf_span(&all), pub, &s) == CE_TRAILING, "a byte too many");
    buf_reset(&body);
    put_key(&body, 2), put_key(&body, 1);
    build(buf_span(&body), 2, 0, 0, 0, &all);
    ok(snapshot_open(buf_span(&all), pub, &s) == CE_BAD_FRAME, "keys out of order: refused although signed");
    build(buf_span(&body), 1, 1, 0, 0, &all);
    ok(snapshot_open(buf_span(&all), pub, &s) == CE_OK, "order counts within a set only");
    buf_reset(&body);
    put_key(&body, 2), put_key(&body, 2);
    build(buf_span(&body), 2, 0, 0, 0, &all);
    ok(snapshot_open(buf_span(&all), pub, &s) == CE_BAD_FRAME, "a key twice: refused");
    build(span_of(NULL, 0), 0, 0, 0, 0, &all);
    ok(snapshot_open(buf_span(&all), pub, &s) == CE_OK, "an empty snapshot");
    all.data[8 + 8 + 4 * 4 + 3] = 0; /* the count of policies */
    struct span in = buf_span(&all);
    struct snapshot_header h;
    ok(snapshot_header_parse(&in, &h) == CE_BAD_FRAME, "a snapshot names a policy");
    const struct snapshot_header none = { .at_ms = 1, .body_sha256 = span_of(s.header.body_sha256.p, 32), .vector = SPAN_LIT("1:1") };
    ok(snapshot_header_encode(&none, stream, &body) == CE_BAD_FRAME, "and is not signed without");
}

static void policies(void)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    CLEANUP(mem_free_p) uint8_t *large = mem_calloc(1, SNAPSHOT_POLICY_MAX);
    struct span doc, in;
    ok(!snapshot_policy_encode(SPAN_LIT("cradle-policy 1\n"), &out) && !snapshot_policy_encode(SPAN_LIT("x"), &out), "two documents");
    in = buf_span(&out);
    ok(!snapshot_policy_parse(&in, &doc) && span_eq_str(doc, "cradle-policy 1\n") && !snapshot_policy_parse(&in, &doc) && span_eq_str(doc, "x") && !in.n,
       "are taken one after the other");
    unsigned wrong = 0;
    for (size_t n = 0; n < 24; n++) {
        in = span_of(out.data, n);
        wrong += snapshot_policy_parse(&in, &doc) != CE_TRUNCATED;
    }
    ok(wrong == 0, "cut short at each byte: more bytes are waited for");
    out.data[7] = 7;
    in = buf_span(&out);
    ok(snapshot_policy_parse(&in, &doc) == CE_BAD_FRAME, "a length that does not hold the head");
    out.data[4] = 1;
    ok(snapshot_policy_parse(&in, &doc) == CE_BAD_FRAME, "a length beyond the limit");
    buf_reset(&out);
    ok(snapshot_policy_encode(span_of(large, SNAPSHOT_POLICY_MAX - 7), &out) == CE_TOO_LARGE && !out.len, "one byte too many");
    ok(!snapshot_policy_encode(span_of(large, SNAPSHOT_POLICY_MAX - 8), &out) && out.len == SNAPSHOT_POLICY_MAX, "the largest");
}

static void frames(void)
{
    CLEANUP(buf_free) struct buf entries = BUF_INIT(0), out = BUF_INIT(0);
    uint8_t key[20] = { 7 };
    struct snapshot_frame fr = { .at_ms = 5, .prev = SPAN_LIT("1:4"), .vector = SPAN_LIT("1:6") }, back;
    struct snapshot_entry e;
    snapshot_entry_put(&entries, SNAPSHOT_SET_CERT, SNAPSHOT_OP_ADD, key);
    snapshot_entry_put(&entries, SNAPSHOT_SET_IDENT, SNAPSHOT_OP_DEL, key);
    fr.entries = buf_span(&entries);
    ok(snapshot_frame_encode(&fr, stream, &out) == CE_OK && snapshot_frame_encode(&fr, stream, &out) == CE_OK, "two frames");
    struct span in = buf_span(&out);
    ok(snapshot_frame_parse(&in, &back) == CE_OK && in.n == out.len / 2 && back.n_entries == 2 && back.at_ms == 5 && span_eq(back.prev, fr.prev) &&
       span_eq(back.vector, fr.vector) && snapshot_frame_verify(&back, pub) == CE_OK, "the first is taken and verifies");
    snapshot_frame_entry(&back, 1, &e);
    ok(e.set == SNAPSHOT_SET_IDENT && e.op == SNAPSHOT_OP_DEL && memcmp(e.key, key, 20) == 0, "its second entry");
    ok(snapshot_frame_verify(&back, other_pub) == CE_BAD_SIGNATURE, "another key: refused");
    ok(snapshot_frame_parse(&in, &back) == CE_OK && in.n == 0 && snapshot_frame_parse(&in, &back) == CE_TRUNCATED, "then the second, then nothing");
    size_t one = out.len / 2;
    unsigned wrong = 0;
    for (size_t n = 0; n < one; n++) {
        in = span_of(out.data, n);
        wrong += snapshot_frame_parse(&in, &back) != CE_TRUNCATED;
    }
    ok(wrong == 0, "cut short at each byte: more bytes are waited for");
    for (size_t i = 0; i < one * 8; i++) {
        out.data[i / 8] ^= (uint8_t)(1u << i % 8);
        in = span_of(out.data, one);
        wrong += snapshot_frame_parse(&in, &back) == CE_OK && snapshot_frame_verify(&back, pub) == CE_OK;
        out.data[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    ok(wrong == 0, "each flipped bit is refused");
    struct snapshot_frame bad = fr;
    bad.vector = SPAN_LIT("1:3");
    ok(snapshot_frame_encode(&bad, stream, &out) == CE_BAD_FRAME, "a vector that goes back is not signed");
    bad = fr, bad.entries = SPAN_LIT("0123456789012345678901");
    ok(snapshot_frame_encode(&bad, stream, &out) == CE_BAD_FRAME, "an entry of no known set is not signed");
    CLEANUP(mem_free_p) uint8_t *many = mem_calloc(3000, 22);
    for (size_t i = 0; i < 3000; i++)
        many[22 * i] = many[22 * i + 1] = 1;
    bad = fr, bad.entries = span_of(many, 66000);
    ok(snapshot_frame_encode(&bad, stream, &out) == CE_BAD_FRAME, "more than a frame holds is not signed");
    CLEANUP(buf_free) struct buf heart = BUF_INIT(0);
    struct snapshot_frame beat = { .at_ms = 9, .prev = SPAN_LIT("1:6"), .vector = SPAN_LIT("1:6") };
    ok(snapshot_frame_encode(&beat, stream, &heart) == CE_OK, "a heartbeat");
    struct snapshot_header h;
    in = buf_span(&heart);
    ok(snapshot_header_parse(&in, &h) == CE_BAD_FRAME, "a frame never passes for a snapshot");
}

int main(void)
{
    struct fault f = { .code = CE_OK };
    site_must(key_generate("ed25519", &stream, &f), &f, "key");
    site_must(key_generate("ed25519", &other, &f), &f, "key");
    site_must(ed25519_public(stream, pub), NULL, "pub");
    site_must(ed25519_public(other, other_pub), NULL, "pub");
    keys();
    vectors();
    snapshots();
    policies();
    frames();
    key_free(stream);
    key_free(other);
    return done();
}
