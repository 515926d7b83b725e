/* crypt_signer.c: the signer in process: every request type, what it refuses, and what makes it stop. */
#include <signal.h>
#include <sys/wait.h>

#include "crypt/crl_stream.h"
#include "crypt/csr.h"
#include "crypt/ocsp.h"
#include "role/signer.h"
#include "t/tap.h"
#include "t/unit/crypt_site.h"
#include "wire/checkpoint.h"
#include "wire/directive.h"
#include "wire/msg.h"
#include "wire/snapshot.h"

static char dir[64];
static struct ca root, device;
static struct signer *signer;
static struct key *dev;
static struct buf reply;
static int64_t now;

/* Sends one message; the answer points into reply. */
static struct msg_signed ask(uint16_t type, const struct msg_desc *d, const void *m)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct msg_signed s = { .code = CE_INTERNAL };
    struct ipc_frame in = { .type = type, .rid = 77 }, out;
    msg_pack(d, m, &body);
    in.body = buf_span(&body);
    buf_reset(&reply);
    signer_handle(signer, &in, &reply);
    struct span left = buf_span(&reply);
    if (ipc_frame_get(&left, &out) || left.n || out.type != MSG_SIGNED || out.rid != 77 || msg_unpack_all(&msg_desc_signed, out.body, &s))
        s.code = CE_INTERNAL;
    return s;
}

static struct msg_sign_cert cert_request(struct span serial)
{
    return (struct msg_sign_cert){ .ca = SPAN_LIT("device"), .profile = SPAN_LIT("device"), .serial = serial, .spki = key_spki(dev), .uid = SPAN_LIT("dev-1"),
                                   .dev_serial = SPAN_LIT("7"), .line = SPAN_LIT("pump"), .not_before = now - 300, .not_after = now + SITE_DAY };
}

static void certificates(void)
{
    uint8_t serial[16];
    struct cert c;
    struct fault f = { .code = CE_OK };
    site_must(issue_serial(serial), NULL, "serial");
    struct msg_sign_cert good = cert_request(span_of(serial, 16)), m = good;
    struct msg_signed s = ask(MSG_SIGN_CERT, &msg_desc_sign_cert, &m);
    ok(s.code == CE_OK && s.counter == 1 && s.kid.n == 20 && s.run.n == 8 && cert_parse(s.body, &c, &f) == CE_OK && cert_check_issued(&c, &device.cert) == CE_OK &&
       span_eq_str(c.cn, "dev-1"), "a device certificate, counter 1 %s", f.text);
    m.ca = SPAN_LIT("infra"), m.profile = SPAN_LIT("operator"), m.uid = SPAN_LIT("alice"), m.role = SPAN_LIT("admin"), m.line = m.dev_serial = span_of(NULL, 0);
    s = ask(MSG_SIGN_CERT, &msg_desc_sign_cert, &m);
    ok(s.code == CE_OK && s.counter == 1 && span_eq(s.kid, c.aki) == false && cert_parse(s.body, &c, &f) == CE_OK && span_eq(s.kid, c.aki) &&
       span_eq_str(c.san_uri, "urn:cradle:admin:alice"), "an operator's: the other CA's key counts by itself");
    static const struct { const char *profile; enum err want; const char *what; } rows[] = {
        { "root", CE_NOT_FOUND, "a profile that is not there" }, { "device.conf", CE_NOT_FOUND, "a file name" }, { "", CE_NOT_FOUND, "no profile" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        m = good, m.profile = span_str(rows[i].profile);
        s = ask(MSG_SIGN_CERT, &msg_desc_sign_cert, &m);
        ok(s.code == rows[i].want && s.body.n == 0 && s.text.n, "refused: %s: " SPAN_FMT, rows[i].what, SPAN_ARG(s.text));
    }
    m = good, m.not_after = now + 11 * 365 * (int64_t)SITE_DAY;
    s = ask(MSG_SIGN_CERT, &msg_desc_sign_cert, &m);
    ok(s.code == CE_BAD_FIELD, "refused: " SPAN_FMT, SPAN_ARG(s.text));
    m = good, m.not_before = now + 2 * SITE_DAY, m.not_after = now + 3 * SITE_DAY;
    s = ask(MSG_SIGN_CERT, &msg_desc_sign_cert, &m);
    ok(s.code == CE_BAD_FIELD, "refused, a stock for later: " SPAN_FMT, SPAN_ARG(s.text));
    m = good, m.serial = SPAN_LIT("\1");
    s = ask(MSG_SIGN_CERT, &msg_desc_sign_cert, &m);
    ok(s.code == CE_BAD_FIELD, "refused: " SPAN_FMT, SPAN_ARG(s.text));
    m = good, m.uid = SPAN_LIT("a,CN=b");
    s = ask(MSG_SIGN_CERT, &msg_desc_sign_cert, &m);
    ok(s.code == CE_BAD_UID && s.counter == 2 && s.kid.n == 0, "refused: " SPAN_FMT " (the counter stands still)", SPAN_ARG(s.text));
    m = good, m.spki = span_of(good.spki.p, good.spki.n - 1);
    s = ask(MSG_SIGN_CERT, &msg_desc_sign_cert, &m);
    ok(s.code == CE_BAD_DER, "refused: " SPAN_FMT, SPAN_ARG(s.text));
}

/* An entry of shard 2; reason 1. */
static void crl_entry_add(struct buf *out, unsigned i)
{
    const uint8_t serial[] = { 1, (uint8_t)i, 2 };
    uint8_t der[CRL_ENTRY_MAX];
    buf_put(out, der, crl_encode(&(struct crl_entry){ .serial = span_of(serial, 3), .revoked_at = now, .reason = 1 }, der));
}

/* Entries in two parts; what the signer gave, with the entries in it, is a CRL. The answers to what is wrong. */
static void crl_in_parts(void)
{
    CLEANUP(buf_free) struct buf one = BUF_INIT(0), two = BUF_INIT(0), list = BUF_INIT(0), before = BUF_INIT(0), after = BUF_INIT(0);
    struct crl c;
    struct fault f = { .code = CE_OK };
    size_t at, end;
    for (unsigned i = 0; i < 10; i++)
        crl_entry_add(i < 6 ? &one : &two, i);
    const struct msg_sign_crl_begin begin = { .ca = SPAN_LIT("device"), .shard = 2, .number = 10, .this_update = now, .next_update = now + 60, .entries = 10,
                                              .bytes = (int64_t)(one.len + two.len) };
    const struct msg_sign_crl_part first = { .ca = SPAN_LIT("device"), .shard = 2, .entries = buf_span(&one) }, second = { SPAN_LIT("device"), 2, buf_span(&two) };
    const struct msg_sign_crl_end last = { .ca = SPAN_LIT("device"), .shard = 2 };
    ok(ask(MSG_SIGN_CRL_BEGIN, &msg_desc_sign_crl_begin, &begin).code == CE_OK && ask(MSG_SIGN_CRL_PART, &msg_desc_sign_crl_part, &first).code == CE_OK &&
       ask(MSG_SIGN_CRL_PART, &msg_desc_sign_crl_part, &second).code == CE_OK, "entries in two parts are taken");
    struct msg_signed s = ask(MSG_SIGN_CRL_END, &msg_desc_sign_crl_end, &last);
    buf_put_span(&list, s.body);
    ok(s.code == CE_OK && crl_parse(buf_span(&list), &c, &f) == CE_OK && c.n_entries == 0 && crl_verify(&c, &device.cert) == CE_BAD_SIGNATURE,
       "the answer is the list without them, which its signature is not of");
    ok(crl_frame(&c, one.len + two.len, &before, &at, &after, &end) == CE_OK, "head and end");
    buf_put_span(&before, buf_span(&one));
    buf_put_span(&before, buf_span(&two));
    buf_put_span(&before, buf_span(&after));
    ok(crl_parse(buf_span(&before), &c, &f) == CE_OK && c.n_entries == 10 && crl_verify(&c, &device.cert) == CE_OK, "with them it is: %s", f.text);
    ok(ask(MSG_SIGN_CRL_BEGIN, &msg_desc_sign_crl_begin, &begin).code == CE_OK && ask(MSG_SIGN_CRL_PART, &msg_desc_sign_crl_part, &first).code == CE_OK &&
       ask(MSG_SIGN_CRL_END, &msg_desc_sign_crl_end, &last).code == CE_BAD_FIELD, "refused: entries are missing");
    ok(ask(MSG_SIGN_CRL_BEGIN, &msg_desc_sign_crl_begin, &begin).code == CE_OK && ask(MSG_SIGN_CRL_PART, &msg_desc_sign_crl_part, &second).code == CE_OK &&
       ask(MSG_SIGN_CRL_PART, &msg_desc_sign_crl_part, &first).code == CE_LINT, "refused: entries that do not ascend");
    ok(ask(MSG_SIGN_CRL_PART, &msg_desc_sign_crl_part, &second).code == CE_SIGNER, "what was refused is over");
    crl_entry_add(&two, 9);
    const struct msg_sign_crl_part twice = { SPAN_LIT("device"), 2, buf_span(&two) };
    ok(ask(MSG_SIGN_CRL_BEGIN, &msg_desc_sign_crl_begin, &begin).code == CE_OK, "begun again");
    s = ask(MSG_SIGN_CRL_PART, &msg_desc_sign_crl_part, &twice);
    ok(s.code == CE_LINT, "refused: " SPAN_FMT, SPAN_ARG(s.text));
}

static void lists_and_status(void)
{
    struct crl c;
    struct fault f = { .code = CE_OK };
    struct msg_sign_crl_begin m = { .ca = SPAN_LIT("device"), .shard = 2, .number = 9, .this_update = now, .next_update = now + 60 };
    const struct msg_sign_crl_end end = { .ca = SPAN_LIT("device"), .shard = 2 };
    ok(ask(MSG_SIGN_CRL_END, &msg_desc_sign_crl_end, &end).code == CE_SIGNER, "no CRL ends that was not begun");
    struct msg_signed s = ask(MSG_SIGN_CRL_BEGIN, &msg_desc_sign_crl_begin, &m);
    ok(s.code == CE_OK && s.body.n == 0 && s.kid.n == 0, "a CRL is begun: nothing is signed");
    s = ask(MSG_SIGN_CRL_END, &msg_desc_sign_crl_end, &end);
    ok(s.code == CE_OK && crl_parse(s.body, &c, &f) == CE_OK && crl_verify(&c, &device.cert) == CE_OK && c.number == 9 && s.kid.n == 20, "a CRL %s", f.text);
    ok(ask(MSG_SIGN_CRL_END, &msg_desc_sign_crl_end, &end).code == CE_SIGNER, "it ends once");
    crl_in_parts();
    m.next_update = now + 400 * (int64_t)SITE_DAY;
    ok(ask(MSG_SIGN_CRL_BEGIN, &msg_desc_sign_crl_begin, &m).code == CE_BAD_FIELD, "refused: a CRL for more than a year");
    m.this_update = now + 2 * SITE_DAY, m.next_update = now + 3 * SITE_DAY;
    ok(ask(MSG_SIGN_CRL_BEGIN, &msg_desc_sign_crl_begin, &m).code == CE_BAD_FIELD, "refused: a CRL of the day after tomorrow");
    m.this_update = now, m.next_update = now + 60;
    m.shard = 16;
    ok(ask(MSG_SIGN_CRL_BEGIN, &msg_desc_sign_crl_begin, &m).code == CE_BAD_FIELD, "refused: shard 16 of 16");
    m.shard = -1;
    ok(ask(MSG_SIGN_CRL_BEGIN, &msg_desc_sign_crl_begin, &m).code == CE_BAD_FIELD, "refused: shard -1");
    m.shard = 0, m.ca = SPAN_LIT("root");
    ok(ask(MSG_SIGN_CRL_BEGIN, &msg_desc_sign_crl_begin, &m).code == CE_NOT_FOUND, "refused: the root's CRL (its key is not here)");

    CLEANUP(buf_free) struct buf req = BUF_INIT(0), items = BUF_INIT(0);
    struct ocsp_request q;
    char path[PATH_MAX_LEN];
    path_join(path, "%s/q.der", dir);
    site_sh("openssl ocsp -issuer %s/ca/device.pem -serial 5 -serial 6 -reqout %s 2>/dev/null", dir, path);
    site_must(file_read(path, &req), NULL, path);
    site_must(ocsp_request_parse(buf_span(&req), &q, &f), &f, "request");
    for (size_t i = 0; i < q.n; i++) {
        struct msg_ocsp_item item = { .certid = q.ids[i].der, .serial = q.ids[i].serial, .status = i ? OCSP_REVOKED : OCSP_GOOD, .revoked_at = now, .reason = i ? 1 : -1 };
        msg_pack(&msg_desc_ocsp_item, &item, &items);
    }
    struct msg_sign_ocsp o = { .ca = SPAN_LIT("device"), .items = buf_span(&items), .nonce = q.nonce, .this_update = now, .next_update = now + 300 };
    s = ask(MSG_SIGN_OCSP, &msg_desc_sign_ocsp, &o);
    site_write(dir, "r.der", s.body, 0644);
    ok(s.code == CE_OK && site_sh("openssl ocsp -issuer %s/ca/device.pem -serial 5 -serial 6 -no_nonce -reqin %s -respin %s/r.der -CAfile %s/ca/root.pem > %s/t 2>&1 && "
       "grep -q '5: good' %s/t && grep -q '6: revoked' %s/t", dir, path, dir, dir, dir, dir, dir), "an OCSP answer");
    o.next_update = now + 8 * SITE_DAY;
    ok(ask(MSG_SIGN_OCSP, &msg_desc_sign_ocsp, &o).code == CE_BAD_FIELD, "refused: a good answer for more than a week");
    o.next_update = now + 300;
    o.items = span_of(items.data, items.len - 1);
    ok(ask(MSG_SIGN_OCSP, &msg_desc_sign_ocsp, &o).code == CE_BAD_FIELD, "refused: items cut short");
    o.items = span_of(NULL, 0);
    ok(ask(MSG_SIGN_OCSP, &msg_desc_sign_ocsp, &o).code == CE_BAD_FIELD, "refused: no items");
}

static void heads(void)
{
    CLEANUP(buf_free) struct buf vkey = BUF_INIT(0);
    struct note_key nk;
    struct checkpoint cp;
    struct fault f = { .code = CE_OK };
    char path[PATH_MAX_LEN];
    uint8_t root_a[32] = { 1 }, root_b[32] = { 2 };
    path_join(path, "%s/trust/log.pub", dir);
    site_must(file_read(path, &vkey), NULL, path);
    site_must(note_key_parse(buf_span(&vkey), &nk, &f), &f, "vkey");
    struct msg_sign_head m = { .size = 10, .root = span_of(root_a, 32) };
    struct msg_signed s = ask(MSG_SIGN_HEAD, &msg_desc_sign_head, &m);
    ok(s.code == CE_OK && checkpoint_open(&nk, s.body, &cp, &f) == CE_OK && cp.size == 10 && memcmp(cp.root.b, root_a, 32) == 0, "a tree head %s", f.text);
    ok(ask(MSG_SIGN_HEAD, &msg_desc_sign_head, &m).code == CE_OK, "the same once more");
    m.root = span_of(root_b, 32);
    s = ask(MSG_SIGN_HEAD, &msg_desc_sign_head, &m);
    ok(s.code == CE_LOG_INCONSISTENT, "refused: another root for one size: " SPAN_FMT, SPAN_ARG(s.text));
    m.size = 9;
    ok(ask(MSG_SIGN_HEAD, &msg_desc_sign_head, &m).code == CE_LOG_INCONSISTENT, "refused: a smaller tree");
    m.size = 11;
    ok(ask(MSG_SIGN_HEAD, &msg_desc_sign_head, &m).code == CE_OK, "a larger one");
    m.root = span_of(root_b, 31);
    ok(ask(MSG_SIGN_HEAD, &msg_desc_sign_head, &m).code == CE_BAD_FIELD, "refused: a root of 31 bytes");
}

static void streams(void)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(0), pub = BUF_INIT(0), entries = BUF_INIT(0);
    uint8_t key[20] = { 3 }, digest[32] = { 4 };
    struct snapshot_frame fr;
    struct snapshot_header h;
    char path[PATH_MAX_LEN];
    path_join(path, "%s/trust/stream.pub", dir);
    site_must(file_read(path, &text), NULL, path);
    site_must(base64_decode(buf_span(&text), &pub), NULL, path);
    snapshot_entry_put(&entries, SNAPSHOT_SET_CERT, SNAPSHOT_OP_ADD, key);
    struct msg_sign_frame m = { .prev = SPAN_LIT("1:1"), .vector = SPAN_LIT("1:2"), .at_ms = 5, .entries = buf_span(&entries) };
    struct msg_signed s = ask(MSG_SIGN_FRAME, &msg_desc_sign_frame, &m);
    struct span in = s.body;
    ok(s.code == CE_OK && snapshot_frame_parse(&in, &fr) == CE_OK && snapshot_frame_verify(&fr, pub.data) == CE_OK && fr.n_entries == 1, "a stream frame");
    m.vector = SPAN_LIT("1:0");
    ok(ask(MSG_SIGN_FRAME, &msg_desc_sign_frame, &m).code == CE_BAD_FRAME, "refused: a vector that goes back");
    struct msg_sign_snapshot n = { .vector = SPAN_LIT("1:2"), .at_ms = 6, .n_certs = 1, .n_policies = 1, .body_sha256 = span_of(digest, 32) };
    s = ask(MSG_SIGN_SNAPSHOT, &msg_desc_sign_snapshot, &n);
    in = s.body;
    ok(s.code == CE_OK && snapshot_header_parse(&in, &h) == CE_OK && snapshot_header_verify(&h, pub.data) == CE_OK && h.n[SNAPSHOT_SET_CERT - 1] == 1, "a snapshot header");
    n.n_idents = 1ll << 33;
    ok(ask(MSG_SIGN_SNAPSHOT, &msg_desc_sign_snapshot, &n).code == CE_BAD_FIELD, "refused: 2^33 identities");
}

/* The signature holds by keys/NAME.key, and the payload is given. */
static bool envelope_by(const struct msg_signed *s, struct key *key, struct arena *a, struct dsse *env)
{
    struct fault f;
    return s->code == CE_OK && !dsse_parse(s->body, a, env, &f) && env->n_sigs == 1 && !dsse_verify(env, 0, key_spki(key));
}

static void update_meta(struct key *snapshot, struct key *timestamp)
{
    CLEANUP(buf_free) struct buf items = BUF_INIT(0);
    struct arena a = { 0 };
    struct dsse env;
    struct tuf_snapshot sn;
    struct tuf_timestamp ts;
    struct fault f;
    const uint8_t digest[32] = { 8 };
    struct msg_meta_item item = { .name = SPAN_LIT("targets.json"), .version = 3, .length = 900, .sha256 = span_of(digest, 32) };
    msg_pack(&msg_desc_meta_item, &item, &items);
    struct msg_sign_meta m = { .role = SPAN_LIT("snapshot"), .version = 5, .expires = now + SITE_DAY, .items = buf_span(&items) };
    struct msg_signed s = ask(MSG_SIGN_META, &msg_desc_sign_meta, &m);
    ok(envelope_by(&s, snapshot, &a, &env) && !tuf_snapshot_read(env.payload, &a, &sn, &f) && sn.head.version == 5 && sn.n == 1 && s.counter == 1 && s.kid.n == 20,
       "a snapshot of the update metadata, with an account of its own");
    ok(ask(MSG_SIGN_META, &msg_desc_sign_meta, &m).code == CE_BAD_FIELD, "refused: the same version again");
    m.version = 6, m.expires = now + 40 * SITE_DAY;
    ok(ask(MSG_SIGN_META, &msg_desc_sign_meta, &m).code == CE_BAD_FIELD, "refused: a snapshot for forty days");
    m.role = SPAN_LIT("targets"), m.expires = now + SITE_DAY;
    ok(ask(MSG_SIGN_META, &msg_desc_sign_meta, &m).code == CE_BAD_FIELD, "refused: the role of people");
    buf_reset(&items);
    item.name = SPAN_LIT("snapshot.json");
    msg_pack(&msg_desc_meta_item, &item, &items);
    m.role = SPAN_LIT("timestamp"), m.items = buf_span(&items);
    s = ask(MSG_SIGN_META, &msg_desc_sign_meta, &m);
    ok(envelope_by(&s, timestamp, &a, &env) && !tuf_timestamp_read(env.payload, &a, &ts, &f) && ts.snapshot.version == 3, "a timestamp");
    arena_free(&a);
}

static void update_directive(struct key *key)
{
    CLEANUP(buf_free) struct buf approvals = BUF_INIT(0);
    struct arena a = { 0 };
    struct dsse env;
    struct directive d;
    struct fault f;
    const uint8_t digest[32] = { 8 };
    struct msg_approval by = { .by = SPAN_LIT("ann"), .at = now };
    msg_pack(&msg_desc_approval, &by, &approvals);
    struct msg_sign_directive m = { .action = DIRECTIVE_INSTALL, .device = SPAN_LIT("dev-1"), .line = SPAN_LIT("pump"), .model = SPAN_LIT("p1"),
                                    .spki = span_of(digest, 32), .sequence = 3, .issued = now, .expires = now + SITE_DAY, .release = SPAN_LIT("r7"),
                                    .path = SPAN_LIT("pump/r7/fw.bin"), .version = SPAN_LIT("1.7"), .sha256 = span_of(digest, 32),
                                    .sbom_sha256 = span_of(digest, 32), .length = 10, .counter_floor = 2, .approvals = buf_span(&approvals) };
    struct msg_signed s = ask(MSG_SIGN_DIRECTIVE, &msg_desc_sign_directive, &m);
    ok(envelope_by(&s, key, &a, &env) && !directive_read(env.payload, &a, &d, &f) && d.n_approvals == 1 && span_eq_str(d.path, "pump/r7/fw.bin"), "a directive");
    m.device = SPAN_LIT("../dev");
    ok(ask(MSG_SIGN_DIRECTIVE, &msg_desc_sign_directive, &m).code == CE_BAD_UID, "refused: a directive that no device would take");
    m.device = SPAN_LIT("dev-1"), m.issued = now + 2 * SITE_DAY, m.expires = now + 3 * SITE_DAY;
    ok(ask(MSG_SIGN_DIRECTIVE, &msg_desc_sign_directive, &m).code == CE_BAD_FIELD, "refused: a directive for later");
    m.issued = now, m.expires = now + 60 * SITE_DAY;
    ok(ask(MSG_SIGN_DIRECTIVE, &msg_desc_sign_directive, &m).code == CE_BAD_FIELD, "refused: a directive for two months");
    arena_free(&a);
}

static void updates(void)
{
    struct signer_config cfg = { .dir = dir, .base_url = SITE_URL, .n_shards = 16 };
    struct signer *before = signer;
    struct msg_sign_meta m = { .role = SPAN_LIT("snapshot"), .version = 1, .expires = now + SITE_DAY };
    struct fault f = { .code = CE_OK };
    ok(ask(MSG_SIGN_META, &msg_desc_sign_meta, &m).code == CE_UNSUPPORTED, "a site without update keys signs no updates");
    struct key *snapshot = site_key(dir, "keys/tuf-snapshot.key", "ec:P-256"), *timestamp = site_key(dir, "keys/tuf-timestamp.key", "ec:P-256");
    ok(signer_open(&cfg, &signer, &f) == CE_NOT_FOUND, "one with a part of them does not start: %s", f.text);
    struct key *directive = site_key(dir, "keys/directive.key", "ec:P-256");
    site_must(signer_open(&cfg, &signer, &f), &f, "signer with update keys");
    update_meta(snapshot, timestamp);
    update_directive(directive);
    signer_close(signer);
    signer = before;
    key_free(snapshot);
    key_free(timestamp);
    key_free(directive);
}

/* Does this frame end the process? */
static bool aborts(uint16_t type, struct span body)
{
    struct buf out = BUF_INIT(0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        struct ipc_frame in = { .type = type, .rid = 1, .body = body };
        signer_handle(signer, &in, &out);
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void framing(void)
{
    ok(aborts(MSG_REPLY, span_of(NULL, 0)), "a message that is not for the signer ends it");
    ok(aborts(0x0399, span_of(NULL, 0)), "an unknown type ends it");
    ok(aborts(MSG_SIGN_HEAD, SPAN_LIT("\0\0")), "a body that does not unpack ends it");
    struct msg_sign_head m = { .size = 50 };
    struct buf b = BUF_INIT(0);
    msg_pack(&msg_desc_sign_head, &m, &b);
    ok(!aborts(MSG_SIGN_HEAD, buf_span(&b)), "a refusal does not");
    buf_put_u8(&b, 0);
    ok(aborts(MSG_SIGN_HEAD, buf_span(&b)), "trailing bytes do");
    buf_free(&b);
}

static void opening(void)
{
    struct signer *s = NULL;
    struct fault f = { .code = CE_OK };
    struct signer_config cfg = { .dir = dir, .base_url = SITE_URL, .n_shards = 16 };
    site_sh("chmod 640 %s/keys/log.key", dir);
    ok(signer_open(&cfg, &s, &f) == CE_IO && !s, "a key that the group may read: %s", f.text);
    site_sh("chmod 600 %s/keys/log.key; mv %s/keys/infra.key %s/keys/x; cp %s/keys/device.key %s/keys/infra.key", dir, dir, dir, dir, dir);
    ok(signer_open(&cfg, &s, &f) == CE_BAD_CERT, "a key of another CA: %s", f.text);
    site_sh("mv %s/keys/x %s/keys/infra.key; cp %s/profiles/device.conf %s/save; echo 'surprise = 1' >> %s/profiles/device.conf", dir, dir, dir, dir, dir);
    ok(signer_open(&cfg, &s, &f) == CE_BAD_CONFIG, "an unknown key in a profile: %s", f.text);
    site_sh("mv %s/save %s/profiles/device.conf; mv %s/trust/log.pub %s/save", dir, dir, dir, dir);
    ok(signer_open(&cfg, &s, &f) == CE_NOT_FOUND, "no log.pub: %s", f.text);
    site_sh("mv %s/save %s/trust/log.pub", dir, dir);
    cfg.n_shards = 0;
    ok(signer_open(&cfg, &s, &f) == CE_BAD_CONFIG, "no shards: %s", f.text);
    cfg.n_shards = 16;
    ok(signer_open(&cfg, &s, &f) == CE_OK, "and all put right: open %s", f.text);
    signer_close(s);
}

int main(void)
{
    struct fault f = { .code = CE_OK };
    now = clock_now_s();
    site_make(dir, &root, 16);
    site_must(ca_load(&device, dir, "device", SITE_URL, 16, NULL, &f), &f, "device CA");
    site_must(key_generate("ec:P-256", &dev, &f), &f, "key");
    struct signer_config cfg = { .dir = dir, .base_url = SITE_URL, .n_shards = 16 };
    site_must(signer_open(&cfg, &signer, &f), &f, "signer");
    ok(signer_counter(signer) == 0, "the rehearsal does not count");
    certificates();
    lists_and_status();
    heads();
    streams();
    updates();
    framing();
    opening();
    signer_close(signer);
    key_free(dev);
    ca_close(&root);
    ca_close(&device);
    buf_free(&reply);
    site_remove(dir);
    return done();
}
