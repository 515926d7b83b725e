/* tuf.h: metadata of The Update Framework (specification 1.0) as cradle uses it: inside DSSE envelopes, consistent snapshots,
 * one delegated role a product line. Readers and writers of the four roles and of the line roles, and the rule of thresholds.
 * Pure: no files, no clock (callers give the time), no policy about versions (that is tuf_rule.h, and the device library's own).
 *
 * Spans in what is read lie in the arena. Writers make compact JSON with sorted keys; DSSE signs the bytes as they are.
 */
#ifndef CRADLE_WIRE_TUF_H
#define CRADLE_WIRE_TUF_H

#include "wire/dsse.h"

#define TUF_SPEC "1.0.31"
#define TUF_KEYS 32      /* keys in one root or targets file */
#define TUF_ROLE_KEYS 16 /* keys of one role */
#define TUF_LINES 256    /* delegated lines */
#define TUF_FILES 512    /* targets of one line */
#define TUF_LIST 16      /* models, hardware revisions of a target */
#define TUF_KEYID 64     /* hex digits */

enum tuf_type { TUF_ROOT, TUF_TARGETS, TUF_SNAPSHOT, TUF_TIMESTAMP, TUF_TYPES };
const char *tuf_type_name(enum tuf_type t); /* "root", … */

struct tuf_key {
    struct span id;       /* TUF_KEYID hex digits */
    struct span spki;     /* SubjectPublicKeyInfo DER; empty: a type of key that this program does not know, which never counts */
};
struct tuf_keys { struct tuf_key list[TUF_KEYS]; size_t n; };
struct tuf_role {
    struct span name;     /* product line of a delegation; empty for the four roles and the directive's */
    struct span keyids[TUF_ROLE_KEYS];
    size_t n_keyids;
    int64_t threshold;
};
struct tuf_head { int64_t version, expires_s; };

struct tuf_root {
    struct tuf_head head;
    struct tuf_keys keys;
    struct tuf_role roles[TUF_TYPES];
    struct tuf_role directive; /* "x-cradle-directive": who signs directives; n_keyids 0: nobody */
};
struct tuf_targets { /* the top role: it delegates and names no target itself */
    struct tuf_head head;
    struct tuf_keys keys;
    struct tuf_role *lines;    /* n_lines, in the arena */
    size_t n_lines;
};
struct tuf_meta { struct span name; int64_t version, length; struct span sha256; /* 32 bytes, or empty */ };
struct tuf_snapshot { struct tuf_head head; struct tuf_meta *list; size_t n; };
struct tuf_timestamp { struct tuf_head head; struct tuf_meta snapshot; };

struct tuf_target { /* one file of a release; custom.cradle */
    struct span path;            /* LINE/RELEASE/FILE */
    int64_t length;
    struct span sha256;          /* 32 bytes */
    struct span release, version, min_version, handler;
    struct span models[TUF_LIST], hw_revs[TUF_LIST]; /* hw_revs none: any */
    size_t n_models, n_hw_revs;
    int64_t counter;             /* security counter */
    struct span sbom_sha256;     /* 32 bytes */
    struct span sbom_format;     /* cyclonedx | spdx */
    struct span notes_sha256;    /* 32 bytes, or empty */
    bool security_only;
    struct span support_end;     /* YYYY-MM-DD */
    int64_t block_size;          /* 0: no block list */
    struct span blocks_sha256;   /* of the block list: SHA-256 of each block, one after the other */
    struct span inner_sha256;    /* of the part that an installer sees before it writes (swupdate: sw-description), or empty */
};
struct tuf_line { struct tuf_head head; struct tuf_target *list; size_t n; };

/* -- reading: payload of an envelope. CE_BAD_JSON, CE_BAD_METADATA with the rule broken. -- */
MUST_USE enum err tuf_root_read(struct span payload, struct arena *a, struct tuf_root *out, struct fault *f);
MUST_USE enum err tuf_targets_read(struct span payload, struct arena *a, struct tuf_targets *out, struct fault *f);
MUST_USE enum err tuf_snapshot_read(struct span payload, struct arena *a, struct tuf_snapshot *out, struct fault *f);
MUST_USE enum err tuf_timestamp_read(struct span payload, struct arena *a, struct tuf_timestamp *out, struct fault *f);
MUST_USE enum err tuf_line_read(struct span payload, struct span line, struct arena *a, struct tuf_line *out, struct fault *f);

/* -- writing: appends the payload. CE_BAD_METADATA when a field is out of its bounds. -- */
MUST_USE enum err tuf_root_write(const struct tuf_root *r, struct buf *out);
MUST_USE enum err tuf_targets_write(const struct tuf_targets *t, struct buf *out);
MUST_USE enum err tuf_snapshot_write(const struct tuf_snapshot *s, struct buf *out);
MUST_USE enum err tuf_timestamp_write(const struct tuf_timestamp *t, struct buf *out);
MUST_USE enum err tuf_line_write(const struct tuf_line *l, struct buf *out);

/* -- keys and signatures -- */
/* Fills k for a SubjectPublicKeyInfo (P-256, Ed25519, ML-DSA-65): id = SHA-256 of the canonical JSON of the key object. */
MUST_USE enum err tuf_key_make(struct span spki, struct arena *a, struct tuf_key *k, struct fault *f);
const struct tuf_key *tuf_key_find(const struct tuf_keys *keys, struct span id); /* NULL: none */
/* Do enough different keys of role sign env (payload type TUF)? CE_THRESHOLD says how many did; bad signatures do not count and do
 * no harm, nor do two by one key. */
MUST_USE enum err tuf_verify(const struct dsse *env, const struct tuf_keys *keys, const struct tuf_role *role, struct fault *f);

#endif
