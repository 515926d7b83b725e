/* cradle/update.h: the device's half of signed updates: which file may this device install, now? For any target from an MCU to Linux.
 *
 * A device installs a file only when two independent chains name it: The Update Framework's metadata (root 2 of 3 offline, two people
 * for each release of its line, snapshot and timestamp online) and a directive made online for exactly this device, its key, model
 * and hardware. Both are JSON in DSSE envelopes; signatures are ECDSA P-256, other kinds of keys count for nothing here.
 *
 * What it is not: it fetches nothing, stores nothing, knows no clock and allocates nothing. All memory is the caller's. Metadata buffers
 * are overwritten (base64 is decoded in place) and needed only during the call.
 *
 * The order: begin, root (the stored one, then each newer one), timestamp, snapshot, targets, directive, line; then the file, streamed.
 * Each refusal has a code; after one, nothing later is accepted until begin is called again.
 */
#ifndef CRADLE_UPDATE_H
#define CRADLE_UPDATE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cradle_update_err {
    CRADLE_UP_OK = 0,
    CRADLE_UP_ORDER = -40,      /* not the step that is due */
    CRADLE_UP_FORMAT = -41,     /* no envelope, no metadata, or a field out of its bounds */
    CRADLE_UP_SIGNATURES = -42, /* too few of the role's keys signed */
    CRADLE_UP_EXPIRED = -43,    /* the metadata or directive has expired */
    CRADLE_UP_ROLLBACK = -44,   /* older than what this device has seen */
    CRADLE_UP_MIX = -45,        /* not the version or digest that the snapshot or timestamp names */
    CRADLE_UP_DEVICE = -46,     /* the directive is for another device or another key */
    CRADLE_UP_MODEL = -47,      /* for another model, hardware revision or line */
    CRADLE_UP_REPLAY = -48,     /* a directive that is older than one this device has seen */
    CRADLE_UP_TARGET = -49,     /* the metadata does not name the file of the directive, or names it otherwise */
    CRADLE_UP_COUNTER = -50,    /* security counter below the device's floor */
    CRADLE_UP_VERSION = -51,    /* the installed version is too old for this update */
    CRADLE_UP_LENGTH = -52,     /* more or fewer bytes than the metadata says */
    CRADLE_UP_DIGEST = -53,     /* the bytes are not those that were signed */
    CRADLE_UP_CRYPTO = -54,     /* a callback of the port failed */
    CRADLE_UP_SPACE = -55,      /* more keys or roles than this build holds */
};
/* "bad-signature", "wrong-device" …: stable words for reports and logs; never NULL. */
const char *cradle_update_reason(int err);

#define CRADLE_UP_KEYS 24       /* keys of a root or of the delegations that are held at a time */
#define CRADLE_UP_ROLE_KEYS 8   /* of one role that are looked at */
#define CRADLE_UP_NAME 64       /* bytes of names, versions and labels */
#define CRADLE_UP_PATH 160

/* What the target gives. One hash runs at a time. All return 0 on success. */
struct cradle_update_port {
    void *ctx;
    int (*sha256_begin)(void *ctx);
    int (*sha256_add)(void *ctx, const void *data, size_t n);
    int (*sha256_end)(void *ctx, uint8_t out[32]);
    /* Does the DER ECDSA signature over the SHA-256 digest hold by the P-256 key with this uncompressed point? */
    int (*verify)(void *ctx, const uint8_t point[65], const uint8_t digest[32], const uint8_t *sig, size_t sig_len);
};

/* What must survive a power cut; all zero on a new device, except the root's digest that it was made with. Store it after a
 * successful line step and before anything is installed. */
struct cradle_update_state {
    uint8_t root_sha256[32];    /* of the payload of the newest root; of the first one: set at the factory */
    uint32_t root_version, timestamp_version, snapshot_version, targets_version, line_version;
    uint64_t sequence;          /* of the newest directive */
    uint32_t counter_floor;     /* never install a lower security counter */
    int64_t time_s;             /* latest time known to have passed */
}; /* Sequence and time begin anew with a root that takes away a key for directives: a thief of it may have run ahead. */

struct cradle_update_self { /* borrowed strings */
    const char *uid, *line, *model, *hw_rev; /* hw_rev "" when there is none */
    const char *version;        /* installed now, "" when not known */
    uint8_t spki_sha256[32];    /* of the SubjectPublicKeyInfo of the key that the device holds */
};

enum cradle_update_action { CRADLE_UP_NOTHING, CRADLE_UP_INSTALL, CRADLE_UP_RESET };

struct cradle_update_target { /* NUL-terminated */
    enum cradle_update_action action;
    char release[CRADLE_UP_NAME], version[CRADLE_UP_NAME], handler[CRADLE_UP_NAME], path[CRADLE_UP_PATH];
    uint64_t length, sequence;
    uint32_t counter, block_size; /* block_size 0: there is no block list */
    uint8_t sha256[32], sbom_sha256[32], blocks_sha256[32];
    uint8_t has_inner, inner_sha256[32]; /* of what an installer of streams sees before it writes: of a .swu, its sw-description */
};

struct cradle_update_key { uint8_t id[32], point[65]; };
struct cradle_update_role { uint8_t n, threshold, keys[CRADLE_UP_ROLE_KEYS]; }; /* threshold 0: nobody may */
struct cradle_update_meta { uint32_t version; uint8_t has_sha256, sha256[32]; };

struct cradle_update { /* private but for state and target; about 3 kB, and the deepest call takes 1.1 kB of stack on a Cortex-M */
    const struct cradle_update_port *port;
    const struct cradle_update_self *self;
    struct cradle_update_state state;   /* as of the last good step */
    struct cradle_update_target target; /* good after the line step */
    int64_t now_s, clock_s, root_expires_s, good_until_s;
    int step;
    struct cradle_update_key keys[CRADLE_UP_KEYS];
    uint8_t n_keys;
    struct cradle_update_role roles[5]; /* root, targets, snapshot, timestamp, directive */
    struct cradle_update_role line;
    struct cradle_update_meta snapshot, targets, line_meta;
    uint64_t got;                       /* bytes of the file */
};

/* now_s: the device's clock, 0 when it has none: then the latest time known to have passed counts. port and self are borrowed. */
void cradle_update_begin(struct cradle_update *u, const struct cradle_update_port *port, const struct cradle_update_self *self,
                         const struct cradle_update_state *state, int64_t now_s);
/* First the root that the device holds (its digest must be state.root_sha256; it may have expired), then version + 1, + 2 …: each signed
 * as the one before and as itself asks. */
int cradle_update_root(struct cradle_update *u, char *envelope, size_t n);
/* Name of the file to fetch for the next step, under the server's metadata: "3.root.json" (the next root; when the server has none, go on with
 * timestamp.json), "7.snapshot.json", "2.targets.json", "5.LINE.json"; "" when it is the turn of the stored root, of the directive or of nothing. */
void cradle_update_next(const struct cradle_update *u, char name[CRADLE_UP_NAME + 24]);
int cradle_update_timestamp(struct cradle_update *u, char *envelope, size_t n);
int cradle_update_snapshot(struct cradle_update *u, char *envelope, size_t n);
int cradle_update_targets(struct cradle_update *u, char *envelope, size_t n);
int cradle_update_directive(struct cradle_update *u, char *envelope, size_t n);
int cradle_update_line(struct cradle_update *u, char *envelope, size_t n); /* target.action CRADLE_UP_INSTALL only */

/* Begins at the file: for a target that the line step found good earlier and that the caller has kept since. */
void cradle_update_again(struct cradle_update *u, const struct cradle_update_port *port, const struct cradle_update_target *target);
/* The file, in pieces of any size and in order. end: are length and digest those of the target? Only then may it be used. */
int cradle_update_file_begin(struct cradle_update *u);
int cradle_update_file_add(struct cradle_update *u, const void *data, size_t n);
int cradle_update_file_end(struct cradle_update *u);
/* Is this the target's block list (32 bytes a block)? Is this block number i of it? So that nothing unverified is ever written. */
int cradle_update_blocks(struct cradle_update *u, const uint8_t *list, size_t n);
int cradle_update_block(struct cradle_update *u, const uint8_t *list, uint32_t i, const void *data, size_t n);

/* After the new version has been confirmed: raises the floor in state to the target's counter. Store the state. */
void cradle_update_confirm(struct cradle_update_state *state, const struct cradle_update_target *target);

/* Versions: parts of digits or letters; numbers by value, a missing part between words and numbers: 1-rc1 < 1 < 1.2 < 1.10. */
int cradle_version_cmp(const char *a, const char *b);

#ifdef __cplusplus
}
#endif

#endif
