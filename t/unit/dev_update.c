/* Unit test of the device's half of updates: what installs, and a table of attacks, each of which must be refused for its own reason. */
#include <stdlib.h>

#include "base/mem.h"
#include "cradle/update.h"
#include "t/tap.h"
#include "t/unit/update_site.h"

static struct update_site site;
static struct cradle_update_self self;
static struct cradle_update_state fresh;

/* -- the target's port: OpenSSL ------------------------------------------------------------------------------------------------- */
static struct sha256 hash;
static int port_begin(void *ctx) { (void)ctx; sha256_begin(&hash); return 0; }
static int port_add(void *ctx, const void *data, size_t n) { (void)ctx; sha256_add(&hash, span_of(data, n)); return 0; }
static int port_end(void *ctx, uint8_t out[32]) { (void)ctx; sha256_end(&hash, out); return 0; }

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
static int port_verify(void *ctx, const uint8_t point[65], const uint8_t digest[32], const uint8_t *sig, size_t n)
{
    static const uint8_t head[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
                                    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00 };
    uint8_t spki[91];
    const uint8_t *p = spki;
    (void)ctx;
    memcpy(spki, head, sizeof head);
    memcpy(spki + sizeof head, point, 65);
    EVP_PKEY *key = d2i_PUBKEY(NULL, &p, sizeof spki);
    EVP_PKEY_CTX *c = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    int good = c && EVP_PKEY_verify_init(c) == 1 && EVP_PKEY_verify(c, sig, n, digest, 32) == 1;
    EVP_PKEY_CTX_free(c);
    EVP_PKEY_free(key);
    return good ? 0 : -1;
}
static const struct cradle_update_port port = { NULL, port_begin, port_add, port_end, port_verify };

/* -- a device's whole look at what a server gives --------------------------------------------------------------------------------- */
static struct cradle_update up;
typedef int step_fn(struct cradle_update *u, char *envelope, size_t n);

static int give(step_fn *fn, struct span envelope)
{
    CLEANUP(mem_free_p) char *copy = mem_alloc(envelope.n + 1); /* the library decodes in place */
    memcpy(copy, envelope.p, envelope.n);
    return fn(&up, copy, envelope.n);
}

static int look(const struct cradle_update_state *state, int64_t now_s)
{
    cradle_update_begin(&up, &port, &self, state, now_s);
    int err = give(cradle_update_root, site.e_root);
    err = err ? err : give(cradle_update_timestamp, site.e_timestamp);
    err = err ? err : give(cradle_update_snapshot, site.e_snapshot);
    err = err ? err : give(cradle_update_targets, site.e_targets);
    err = err ? err : give(cradle_update_directive, site.e_directive);
    return err || up.target.action != CRADLE_UP_INSTALL ? err : give(cradle_update_line, site.e_line);
}

static int file(const uint8_t *data, size_t n, size_t piece)
{
    int err = cradle_update_file_begin(&up);
    for (size_t at = 0; !err && at < n; at += piece)
        err = cradle_update_file_add(&up, data + at, n - at < piece ? n - at : piece);
    return err ? err : cradle_update_file_end(&up);
}

static void device_make(void)
{
    struct fault f;
    struct dsse env;
    self = (struct cradle_update_self){ .uid = "dev-1", .line = "vib", .model = "vib-1", .hw_rev = "B", .version = "1.6.0" };
    memcpy(self.spki_sha256, site.spki, 32);
    if (dsse_parse(site.e_root, &site.arena, &env, &f))
        abort();
    sha256(env.payload, fresh.root_sha256);
}

static void test_good(void)
{
    ok(look(&fresh, T0) == CRADLE_UP_OK, "what both chains name is accepted");
    ok(up.target.action == CRADLE_UP_INSTALL && strcmp(up.target.release, "r7") == 0 && strcmp(up.target.handler, "raw") == 0 && up.target.counter == 4 &&
           up.target.length == sizeof site.file, "the target is told");
    ok(up.state.timestamp_version == 9 && up.state.snapshot_version == 7 && up.state.line_version == 4 && up.state.sequence == 12 &&
           up.state.counter_floor == 3 && up.state.time_s == T0 - 60, "the state to store is told");
    ok(file(site.file, sizeof site.file, 4096) == CRADLE_UP_OK && file(site.file, sizeof site.file, 1000003) == CRADLE_UP_OK, "the file verifies, in any pieces");
    ok(cradle_update_blocks(&up, site.blocks, sizeof site.blocks) == CRADLE_UP_OK && cradle_update_block(&up, site.blocks, 0, site.file, 1048576) == CRADLE_UP_OK &&
           cradle_update_block(&up, site.blocks, 2, site.file + 2097152, sizeof site.file - 2097152) == CRADLE_UP_OK, "blocks verify one by one");
    ok(!up.target.has_inner, "a target without an inner digest says so");
    struct cradle_update_state state = up.state;
    ok(look(&state, T0) == CRADLE_UP_OK, "the same again is accepted: a download may be resumed");
    cradle_update_confirm(&state, &up.target);
    ok(state.counter_floor == 4, "a confirmed version raises the floor");
    printf("# a device keeps %zu bytes, and needs %zu while it looks\n", sizeof state, sizeof up);
}

static void test_file(void)
{
    ok(look(&fresh, T0) == CRADLE_UP_OK, "a look");
    site.file[1500000] ^= 1;
    ok(file(site.file, sizeof site.file, 65536) == CRADLE_UP_DIGEST, "a tampered image is refused");
    ok(cradle_update_block(&up, site.blocks, 1, site.file + 1048576, 1048576) == CRADLE_UP_DIGEST, "its block too");
    site.file[1500000] ^= 1;
    ok(file(site.file, sizeof site.file - 1, 65536) == CRADLE_UP_LENGTH, "a truncated download is refused");
    ok(cradle_update_file_begin(&up) == CRADLE_UP_OK && cradle_update_file_add(&up, site.file, sizeof site.file) == CRADLE_UP_OK &&
           cradle_update_file_add(&up, site.file, 1) == CRADLE_UP_LENGTH, "endless data ends at the first byte too many");
    site.blocks[5] ^= 1;
    ok(cradle_update_file_end(&up) == CRADLE_UP_OK && cradle_update_blocks(&up, site.blocks, sizeof site.blocks) == CRADLE_UP_DIGEST, "a tampered block list is refused");
    site.blocks[5] ^= 1;
    ok(cradle_update_blocks(&up, site.blocks, 64) == CRADLE_UP_LENGTH && cradle_update_block(&up, site.blocks, 3, site.file, 10) == CRADLE_UP_LENGTH,
       "a block list or block of another length is refused");
}

/* Bends something, signs all again, looks, and bends back. */
#define ATTACK(want, name, bend)                                                                     \
    do {                                                                                             \
        struct update_site *keep = mem_alloc(sizeof site);                                           \
        struct cradle_update_state state = fresh;                                                    \
        struct cradle_update_self me = self;                                                         \
        int64_t now = T0;                                                                            \
        memcpy(keep, &site, sizeof site);                                                            \
        bend;                                                                                        \
        int err = look(&state, now);                                                                 \
        ok(err == want, "%s: %s", name, cradle_update_reason(err));                                  \
        ok(give(cradle_update_line, site.e_line) != CRADLE_UP_OK, "… and nothing is accepted after"); \
        struct arena arena = site.arena;                                                             \
        memcpy(&site, keep, sizeof site);                                                            \
        site.arena = arena;                                                                          \
        self = me;                                                                                   \
        free(keep);                                                                                  \
    } while (0)

static struct span flip(struct span text, const char *at)
{
    struct span copy = arena_copy(&site.arena, text);
    char *p = strstr((char *)(uintptr_t)copy.p, at);
    p[strlen(at) + 40] ^= 1;
    return copy;
}

static void test_signatures(void)
{
    ATTACK(CRADLE_UP_SIGNATURES, "one signature of two on a release", {
        site.e_line = SIGN(&site, DSSE_TYPE_TUF, tuf_line_write(&site.line, &payload), K_ANN);
        site.meta[1].sha256 = site.timestamp.snapshot.sha256 = (struct span){ 0 };
        site.e_snapshot = SIGN(&site, DSSE_TYPE_TUF, tuf_snapshot_write(&site.snapshot, &payload), K_SNAPSHOT);
        site.e_timestamp = SIGN(&site, DSSE_TYPE_TUF, tuf_timestamp_write(&site.timestamp, &payload), K_TIMESTAMP);
    });
    ATTACK(CRADLE_UP_SIGNATURES, "a stolen server: all online keys, but not the release keys", {
        site.target.version = SPAN_LIT("9.9");
        site.directive.version = SPAN_LIT("9.9");
        site.e_line = SIGN(&site, DSSE_TYPE_TUF, tuf_line_write(&site.line, &payload), K_SNAPSHOT, K_TIMESTAMP, K_DIRECTIVE);
        site.meta[1] = meta_of(&site, "vib.json", 4, site.e_line);
        site.e_snapshot = SIGN(&site, DSSE_TYPE_TUF, tuf_snapshot_write(&site.snapshot, &payload), K_SNAPSHOT);
        site.timestamp.snapshot = meta_of(&site, "snapshot.json", 7, site.e_snapshot);
        site.e_timestamp = SIGN(&site, DSSE_TYPE_TUF, tuf_timestamp_write(&site.timestamp, &payload), K_TIMESTAMP);
        site.e_directive = SIGN(&site, DSSE_TYPE_DIRECTIVE, directive_write(&site.directive, &payload), K_DIRECTIVE);
    });
    ATTACK(CRADLE_UP_SIGNATURES, "targets by one of two", {
        site.e_targets = SIGN(&site, DSSE_TYPE_TUF, tuf_targets_write(&site.targets, &payload), K_ANN, K_EVE);
        site.meta[0] = meta_of(&site, "targets.json", 1, site.e_targets);
        site.e_snapshot = SIGN(&site, DSSE_TYPE_TUF, tuf_snapshot_write(&site.snapshot, &payload), K_SNAPSHOT);
        site.timestamp.snapshot = meta_of(&site, "snapshot.json", 7, site.e_snapshot);
        site.e_timestamp = SIGN(&site, DSSE_TYPE_TUF, tuf_timestamp_write(&site.timestamp, &payload), K_TIMESTAMP);
    });
    ATTACK(CRADLE_UP_SIGNATURES, "a timestamp by a thief", site.e_timestamp = SIGN(&site, DSSE_TYPE_TUF, tuf_timestamp_write(&site.timestamp, &payload), K_THIEF));
    ATTACK(CRADLE_UP_SIGNATURES, "a directive by a release key", site.e_directive = SIGN(&site, DSSE_TYPE_DIRECTIVE, directive_write(&site.directive, &payload), K_ANN));
    ATTACK(CRADLE_UP_MIX, "a tampered manifest", site.e_line = flip(site.e_line, "\"payload\":\""));
    ATTACK(CRADLE_UP_MIX, "a root of another maker", {
        site.root.head.expires_s++;
        site.e_root = SIGN(&site, DSSE_TYPE_TUF, tuf_root_write(&site.root, &payload), K_ANN, K_BOB);
    });
    ATTACK(CRADLE_UP_FORMAT, "metadata in the place of a directive", site.e_directive = site.e_timestamp);
}

static void test_time(void)
{
    ATTACK(CRADLE_UP_EXPIRED, "an expired timestamp (freeze)", now = T0 + 10001);
    ATTACK(CRADLE_UP_EXPIRED, "an expired timestamp for a device without a clock", { now = 0; state.time_s = T0 + 20000; });
    ATTACK(CRADLE_UP_EXPIRED, "an expired directive", { site.directive.expires_s = T0; update_site_sign(&site); });
    ATTACK(CRADLE_UP_EXPIRED, "a directive that claims to be of a time at which its metadata has expired", {
        site.directive.issued_s = T0 + 10000;
        site.directive.expires_s = T0 + 86400 * 9;
        update_site_sign(&site);
    });
    ATTACK(CRADLE_UP_EXPIRED, "expired targets", { site.targets.head.expires_s = T0; update_site_sign(&site); });
    ATTACK(CRADLE_UP_EXPIRED, "an expired line", { site.line.head.expires_s = T0; update_site_sign(&site); });
    ATTACK(CRADLE_UP_EXPIRED, "an expired snapshot", { site.snapshot.head.expires_s = T0; update_site_sign(&site); });
    ATTACK(CRADLE_UP_ROLLBACK, "replayed older metadata: timestamp", state.timestamp_version = 10);
    ATTACK(CRADLE_UP_ROLLBACK, "replayed older metadata: snapshot", state.snapshot_version = 8);
    ATTACK(CRADLE_UP_ROLLBACK, "replayed older metadata: targets", state.targets_version = 2);
    ATTACK(CRADLE_UP_ROLLBACK, "replayed older metadata: line", state.line_version = 5);
    ATTACK(CRADLE_UP_MIX, "mixed metadata: a line that the snapshot does not name", {
        site.line.head.version = 5;
        site.e_line = SIGN(&site, DSSE_TYPE_TUF, tuf_line_write(&site.line, &payload), K_ANN, K_BOB);
    });
    ATTACK(CRADLE_UP_MIX, "mixed metadata: a snapshot that the timestamp does not name", {
        site.snapshot.head.version = 8;
        site.e_snapshot = SIGN(&site, DSSE_TYPE_TUF, tuf_snapshot_write(&site.snapshot, &payload), K_SNAPSHOT);
    });
    ATTACK(CRADLE_UP_REPLAY, "a replayed directive", state.sequence = 13);
}

static void test_device(void)
{
    static const uint8_t other[32] = { 1 };
    ATTACK(CRADLE_UP_DEVICE, "another device's directive", self.uid = "dev-2");
    ATTACK(CRADLE_UP_DEVICE, "a directive for another key of this device", self.spki_sha256[3] ^= 1);
    ATTACK(CRADLE_UP_MODEL, "another model's directive", self.model = "vib-2");
    ATTACK(CRADLE_UP_MODEL, "another hardware's directive", self.hw_rev = "C");
    ATTACK(CRADLE_UP_MODEL, "a file that does not fit the model, by an honest directive", { site.target.n_models = 1; site.target.models[0] = SPAN_LIT("vib-2"); update_site_sign(&site); });
    ATTACK(CRADLE_UP_MODEL, "a file that does not fit the hardware", { site.target.hw_revs[0] = SPAN_LIT("A"); update_site_sign(&site); });
    ATTACK(CRADLE_UP_COUNTER, "a rolled-back version: counter below the floor", state.counter_floor = 5);
    ATTACK(CRADLE_UP_COUNTER, "a counter below the floor that the directive raises", { site.directive.counter_floor = 5; update_site_sign(&site); });
    ATTACK(CRADLE_UP_VERSION, "an installed version that is too old", self.version = "1.1.9");
    ATTACK(CRADLE_UP_TARGET, "a directive for a file that the metadata does not name", { site.directive.path = SPAN_LIT("vib/r7/other.bin"); update_site_sign(&site); });
    ATTACK(CRADLE_UP_TARGET, "a directive with another digest", { site.directive.sha256 = span_of(other, 32); update_site_sign(&site); });
    ATTACK(CRADLE_UP_TARGET, "a directive with another SBOM", { site.directive.sbom_sha256 = span_of(other, 32); update_site_sign(&site); });
    ATTACK(CRADLE_UP_TARGET, "a directive with another length", { site.directive.length++; update_site_sign(&site); });
    ATTACK(CRADLE_UP_MIX, "a line that the snapshot does not know", self.line = "gas");
}

/* -- roots ------------------------------------------------------------------------------------------------------------------------ */
static void test_root(void)
{
    struct span first = site.e_root;
    struct update_site *keep = mem_alloc(sizeof site);
    memcpy(keep, &site, sizeof site);
    site.root.head.version = 2;
    site.root.roles[TUF_TARGETS] = ROLE(&site, 2, K_BOB, K_EVE);
    site.root.roles[TUF_TIMESTAMP] = ROLE(&site, 1, K_SNAPSHOT);
    struct span second = SIGN(&site, DSSE_TYPE_TUF, tuf_root_write(&site.root, &payload), K_BOB, K_EVE);
    struct span lone = SIGN(&site, DSSE_TYPE_TUF, tuf_root_write(&site.root, &payload), K_BOB, K_THIEF);
    struct cradle_update_state state = fresh;
    state.timestamp_version = 2000000000; /* a stolen timestamp key ran ahead */
    cradle_update_begin(&up, &port, &self, &state, T0);
    ok(!give(cradle_update_root, first) && !give(cradle_update_root, second) && up.state.root_version == 2, "a root leads to the next one");
    ok(up.state.timestamp_version == 0, "new online keys: the versions that the old ones reached do not count");
    ok(give(cradle_update_timestamp, site.e_timestamp) == CRADLE_UP_SIGNATURES, "the old timestamp key signs no more");
    state = up.state;
    state.sequence = 1ull << 62; /* a stolen directive key ran ahead too */
    state.time_s = T0 + 500000;
    state.counter_floor = 9;
    struct cradle_update_state ahead = state;
    site.root.head.version = 3;
    site.root.directive = ROLE(&site, 1, K_DIRECTIVE, K_EVE);
    struct span third = SIGN(&site, DSSE_TYPE_TUF, tuf_root_write(&site.root, &payload), K_BOB, K_EVE);
    cradle_update_begin(&up, &port, &self, &ahead, T0);
    ok(!give(cradle_update_root, second) && !give(cradle_update_root, third) && up.state.sequence == 1ull << 62 && up.state.time_s == T0 + 500000,
       "a further key for directives takes nothing back");
    site.root.head.version = 4;
    site.root.directive = ROLE(&site, 1, K_EVE);
    struct span fourth = SIGN(&site, DSSE_TYPE_TUF, tuf_root_write(&site.root, &payload), K_BOB, K_EVE);
    ok(!give(cradle_update_root, fourth) && up.state.sequence == 0 && up.state.time_s == 0 && up.now_s == T0 && up.state.counter_floor == 9,
       "a root that takes a key for directives away: number and time begin anew, the counter floor does not");
    cradle_update_begin(&up, &port, &self, &state, T0);
    ok(give(cradle_update_root, first) == CRADLE_UP_MIX, "the root before is no root any more");
    cradle_update_begin(&up, &port, &self, &state, T0);
    ok(!give(cradle_update_root, second), "the new one is");
    cradle_update_begin(&up, &port, &self, &fresh, T0);
    ok(!give(cradle_update_root, first) && give(cradle_update_root, lone) == CRADLE_UP_SIGNATURES, "a next root by one holder and a thief is refused");
    cradle_update_begin(&up, &port, &self, &fresh, T0);
    ok(!give(cradle_update_root, first) && give(cradle_update_root, first) == CRADLE_UP_ROLLBACK, "the same root is no next one");
    cradle_update_begin(&up, &port, &self, &fresh, T0 + 2000000);
    ok(!give(cradle_update_root, first) && give(cradle_update_timestamp, site.e_timestamp) == CRADLE_UP_EXPIRED, "an expired root leads on, but not to a file");
    cradle_update_begin(&up, &port, &self, &fresh, T0);
    ok(give(cradle_update_timestamp, site.e_timestamp) == CRADLE_UP_ORDER && give(cradle_update_root, first) == CRADLE_UP_ORDER, "steps come in their order");
    struct arena arena = site.arena;
    memcpy(&site, keep, sizeof site);
    site.arena = arena;
    free(keep);
}

/* The names that a device without a parser asks the server for, and the digest of what an installer of streams sees. */
static void test_next(void)
{
    char name[CRADLE_UP_NAME + 24];
#define NEXT(want) (cradle_update_next(&up, name), strcmp(name, want) == 0)
    cradle_update_begin(&up, &port, &self, &fresh, T0);
    ok(NEXT(""), "before the stored root there is nothing to fetch");
    ok(!give(cradle_update_root, site.e_root) && NEXT("2.root.json"), "after it the next root: %s", name);
    ok(!give(cradle_update_timestamp, site.e_timestamp) && NEXT("7.snapshot.json"), "%s", name);
    ok(!give(cradle_update_snapshot, site.e_snapshot) && NEXT("1.targets.json"), "%s", name);
    ok(!give(cradle_update_targets, site.e_targets) && NEXT(""), "then the directive");
    ok(!give(cradle_update_directive, site.e_directive) && NEXT("4.vib.json"), "%s", name);
    site.target.inner_sha256 = span_of(site.sbom, 32);
    update_site_sign(&site);
    ok(look(&fresh, T0) == CRADLE_UP_OK && up.target.has_inner && memcmp(up.target.inner_sha256, site.sbom, 32) == 0 && NEXT(""), "an inner digest is told");
    site.target.inner_sha256 = (struct span){ 0 };
    update_site_sign(&site);
}

/* The library moves keys about to need little memory: whoever may sign directives, nobody else of the root may. */
static void test_directive_keys(void)
{
    static const int places[][3] = { { K_DIRECTIVE, K_DIRECTIVE, K_DIRECTIVE }, { K_DIRECTIVE, K_EVE, K_DIRECTIVE }, { K_EVE, K_DIRECTIVE, K_SNAPSHOT },
                                     { K_SNAPSHOT, K_EVE, K_DIRECTIVE }, { K_BOB, K_DIRECTIVE, K_BOB } };
    for (size_t p = 0; p < ARRAY_LEN(places); p++) {
        bool right = true;
        site.root.directive = role_of(&site, places[p], 3, 1);
        update_site_sign(&site);
        struct cradle_update_state state = fresh;
        struct dsse env;
        struct fault f;
        if (dsse_parse(site.e_root, &site.arena, &env, &f))
            abort();
        sha256(env.payload, state.root_sha256);
        for (int k = K_ANN; k <= K_DIRECTIVE; k++) {
            bool may = k == places[p][0] || k == places[p][1] || k == places[p][2];
            site.e_directive = SIGN(&site, DSSE_TYPE_DIRECTIVE, directive_write(&site.directive, &payload), k);
            right &= look(&state, T0) == (may ? CRADLE_UP_OK : CRADLE_UP_SIGNATURES);
        }
        ok(right, "exactly the listed keys sign directives (%zu)", p);
    }
    site.root.directive = ROLE(&site, 1, K_DIRECTIVE);
    update_site_sign(&site);
}

static void test_other_actions(void)
{
    site.directive.action = DIRECTIVE_NONE;
    update_site_sign(&site);
    ok(look(&fresh, T0) == CRADLE_UP_OK && up.target.action == CRADLE_UP_NOTHING, "a directive may say that there is nothing to do");
    ok(cradle_update_file_begin(&up) == CRADLE_UP_ORDER, "… then no file is accepted");
    site.directive.action = DIRECTIVE_RESET;
    update_site_sign(&site);
    ok(look(&fresh, T0) == CRADLE_UP_OK && up.target.action == CRADLE_UP_RESET, "or that the device is to be reset");
    site.directive.action = DIRECTIVE_INSTALL;
    update_site_sign(&site);
    static const char *const pairs[][2] = { { "1.9", "1.10" }, { "1-rc1", "1" }, { "1", "1.0" }, { "1.02", "1.2" }, { "2", "1.9.9" }, { "", "0" }, { "1.0-a", "1.0-b" } };
    bool same = true;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        int a = cradle_version_cmp(pairs[i][0], pairs[i][1]), b = version_cmp(span_str(pairs[i][0]), span_str(pairs[i][1]));
        same &= (a < 0) == (b < 0) && (a > 0) == (b > 0);
    }
    ok(same, "device and server order versions alike");
}

int main(void)
{
    update_site_make(&site);
    device_make();
    test_good();
    test_file();
    test_signatures();
    test_time();
    test_device();
    test_root();
    test_next();
    test_directive_keys();
    test_other_actions();
    update_site_free(&site);
    return done();
}
