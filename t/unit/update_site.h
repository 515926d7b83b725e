/* update_site.h: for tests of updates: a whole ceremony in memory (keys, root, targets, a line with one release, snapshot, timestamp, a
 * directive), written by src/wire, whose every part a test can bend before it is signed. Include once. */
#ifndef CRADLE_T_UPDATE_SITE_H
#define CRADLE_T_UPDATE_SITE_H

#include "crypt/hash.h"
#include "wire/directive.h"

#define T0 1800000000 /* 2027-01-15 */

enum { K_ANN, K_BOB, K_EVE, K_SNAPSHOT, K_TIMESTAMP, K_DIRECTIVE, K_THIEF, K_COUNT };

struct update_site {
    struct arena arena;
    struct key *keys[K_COUNT];
    struct tuf_key pub[K_COUNT];
    struct tuf_root root;
    struct tuf_targets targets;
    struct tuf_role line_role;
    struct tuf_target target;
    struct tuf_line line;
    struct tuf_snapshot snapshot;
    struct tuf_meta meta[2];
    struct tuf_timestamp timestamp;
    struct directive directive;
    uint8_t file[3000000], file_sha[SHA256_LEN], blocks[96], blocks_sha[SHA256_LEN], sbom[SHA256_LEN], spki[SHA256_LEN];
    /* envelopes, NUL-terminated in the arena; made by update_site_sign */
    struct span e_root, e_targets, e_line, e_snapshot, e_timestamp, e_directive;
};

static struct tuf_role role_of(const struct update_site *s, const int *which, size_t n, int64_t threshold)
{
    struct tuf_role r = { .n_keyids = n, .threshold = threshold };
    for (size_t i = 0; i < n; i++)
        r.keyids[i] = s->pub[which[i]].id;
    return r;
}
#define ROLE(s, threshold, ...) role_of(s, (const int[]){ __VA_ARGS__ }, sizeof((int[]){ __VA_ARGS__ }) / sizeof(int), threshold)

static struct span update_envelope(struct update_site *s, const char *type, struct buf *payload, const int *signers, size_t n)
{
    struct dsse env = { .type = span_str(type), .payload = buf_span(payload) };
    struct buf out = BUF_INIT(0);
    struct fault f;
    for (size_t i = 0; i < n; i++)
        if (dsse_sign(&env, s->keys[signers[i]], s->pub[signers[i]].id, &s->arena, &f))
            abort();
    dsse_encode(&env, &out);
    struct span text = arena_copy(&s->arena, buf_span(&out));
    buf_free(&out);
    buf_free(payload);
    return text;
}
/* SIGN(s, type, expression that writes the payload, signers…) */
#define SIGN(s, type, write, ...)                                                                                               \
    ({                                                                                                                          \
        struct buf payload = BUF_INIT(0);                                                                                       \
        if (write)                                                                                                              \
            abort();                                                                                                            \
        update_envelope(s, type, &payload, (const int[]){ __VA_ARGS__ }, sizeof((int[]){ __VA_ARGS__ }) / sizeof(int));         \
    })

static void update_site_plan(struct update_site *s)
{
    struct fault f;
    static const int ring[] = { K_ANN, K_BOB, K_EVE, K_SNAPSHOT, K_TIMESTAMP, K_DIRECTIVE };
    for (int i = 0; i < K_COUNT; i++)
        if (key_generate("ec:P-256", &s->keys[i], &f) || tuf_key_make(key_spki(s->keys[i]), &s->arena, &s->pub[i], &f))
            abort();
    s->root.head = (struct tuf_head){ 1, T0 + 1000000 };
    for (size_t i = 0; i < ARRAY_LEN(ring); i++)
        s->root.keys.list[s->root.keys.n++] = s->pub[ring[i]];
    s->root.roles[TUF_ROOT] = ROLE(s, 2, K_ANN, K_BOB, K_EVE);
    s->root.roles[TUF_TARGETS] = ROLE(s, 2, K_ANN, K_BOB);
    s->root.roles[TUF_SNAPSHOT] = ROLE(s, 1, K_SNAPSHOT);
    s->root.roles[TUF_TIMESTAMP] = ROLE(s, 1, K_TIMESTAMP);
    s->root.directive = ROLE(s, 1, K_DIRECTIVE);
    s->line_role = ROLE(s, 2, K_ANN, K_BOB, K_EVE);
    s->line_role.name = SPAN_LIT("vib");
    s->targets = (struct tuf_targets){ .head = { 1, T0 + 1000000 }, .lines = &s->line_role, .n_lines = 1 };
    for (int i = K_ANN; i <= K_EVE; i++)
        s->targets.keys.list[s->targets.keys.n++] = s->pub[i];
    s->line = (struct tuf_line){ .head = { 4, T0 + 1000000 }, .list = &s->target, .n = 1 };
    s->snapshot = (struct tuf_snapshot){ .head = { 7, T0 + 100000 }, .list = s->meta, .n = 2 };
    s->timestamp = (struct tuf_timestamp){ .head = { 9, T0 + 10000 } };
}

static void update_site_release(struct update_site *s)
{
    static const uint8_t sbom[SHA256_LEN] = { 0x5b };
    memcpy(s->sbom, sbom, sizeof sbom);
    for (size_t i = 0; i < sizeof s->file; i++)
        s->file[i] = (uint8_t)(i * 2654435761u >> 24);
    sha256(span_of(s->file, sizeof s->file), s->file_sha);
    for (size_t i = 0; i < 3; i++) {
        size_t left = sizeof s->file - i * 1048576;
        sha256(span_of(s->file + i * 1048576, left < 1048576 ? left : 1048576), s->blocks + 32 * i);
    }
    sha256(span_of(s->blocks, sizeof s->blocks), s->blocks_sha);
    s->spki[0] = 0xd1;
    struct span sha = span_of(s->file_sha, 32), sbom_sha = span_of(s->sbom, 32);
    s->target = (struct tuf_target){ .path = SPAN_LIT("vib/r7/fw.bin"), .length = sizeof s->file, .sha256 = sha, .release = SPAN_LIT("r7"),
                                     .version = SPAN_LIT("1.7.0"), .min_version = SPAN_LIT("1.2.0"), .handler = SPAN_LIT("raw"),
                                     .models = { SPAN_LIT("vib-1"), SPAN_LIT("vib-2") }, .n_models = 2, .hw_revs = { SPAN_LIT("B") }, .n_hw_revs = 1,
                                     .counter = 4, .sbom_sha256 = sbom_sha, .sbom_format = SPAN_LIT("cyclonedx"), .support_end = SPAN_LIT("2031-12-31"),
                                     .block_size = 1048576, .blocks_sha256 = span_of(s->blocks_sha, 32) };
    s->directive = (struct directive){ .action = DIRECTIVE_INSTALL, .device = SPAN_LIT("dev-1"), .model = SPAN_LIT("vib-1"), .hw_rev = SPAN_LIT("B"),
                                       .line = SPAN_LIT("vib"), .spki = span_of(s->spki, 32), .sequence = 12, .issued_s = T0 - 60, .expires_s = T0 + 86400,
                                       .release = SPAN_LIT("r7"), .path = SPAN_LIT("vib/r7/fw.bin"), .version = SPAN_LIT("1.7.0"), .sha256 = sha,
                                       .sbom_sha256 = sbom_sha, .length = sizeof s->file, .counter_floor = 3,
                                       .approvals = { { SPAN_LIT("ann"), T0 } }, .n_approvals = 1 };
}

static struct tuf_meta meta_of(struct update_site *s, const char *name, int64_t version, struct span envelope)
{
    uint8_t digest[SHA256_LEN];
    sha256(envelope, digest);
    return (struct tuf_meta){ span_str(name), version, (int64_t)envelope.n, arena_copy(&s->arena, span_of(digest, sizeof digest)) };
}

/* Signs everything as it stands now, by whom it should be signed. */
static void update_site_sign(struct update_site *s)
{
    s->e_root = SIGN(s, DSSE_TYPE_TUF, tuf_root_write(&s->root, &payload), K_ANN, K_BOB);
    s->e_targets = SIGN(s, DSSE_TYPE_TUF, tuf_targets_write(&s->targets, &payload), K_ANN, K_BOB);
    s->e_line = SIGN(s, DSSE_TYPE_TUF, tuf_line_write(&s->line, &payload), K_ANN, K_EVE);
    s->meta[0] = meta_of(s, "targets.json", s->targets.head.version, s->e_targets);
    s->meta[1] = meta_of(s, "vib.json", s->line.head.version, s->e_line);
    s->e_snapshot = SIGN(s, DSSE_TYPE_TUF, tuf_snapshot_write(&s->snapshot, &payload), K_SNAPSHOT);
    s->timestamp.snapshot = meta_of(s, "snapshot.json", s->snapshot.head.version, s->e_snapshot);
    s->e_timestamp = SIGN(s, DSSE_TYPE_TUF, tuf_timestamp_write(&s->timestamp, &payload), K_TIMESTAMP);
    s->e_directive = SIGN(s, DSSE_TYPE_DIRECTIVE, directive_write(&s->directive, &payload), K_DIRECTIVE);
}

static void update_site_make(struct update_site *s)
{
    memset(s, 0, sizeof *s);
    update_site_plan(s);
    update_site_release(s);
    update_site_sign(s);
}

static void update_site_free(struct update_site *s)
{
    for (int i = 0; i < K_COUNT; i++)
        key_free(s->keys[i]);
    arena_free(&s->arena);
}

#endif
