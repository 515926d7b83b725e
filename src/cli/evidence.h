/* evidence.h: the offline verifier's state. The verb reads an export line by line (evidence_read.c), judges it by rules
 * (evidence_rules.c) and prints what it found (evidence_print.c). It trusts nothing but the log's public key.
 */
#ifndef CRADLE_CLI_EVIDENCE_H
#define CRADLE_CLI_EVIDENCE_H

#include <stdio.h>
#include <sys/types.h>

#include "cli/cli.h"
#include "wire/checkpoint.h"
#include "wire/export.h"

enum ev_kind { EV_OTHER, EV_DEVICE_ADDED, EV_DEVICE_STATE, EV_CRL_SIGNED, EV_CRL_PUBLISHED, EV_SIGNATURE_UNUSED, EV_TUF_SIGNED, EV_FIRMWARE_OFFERED, EV_CERT_INTENT, EV_CERT_ISSUED,
               EV_CERT_ORPHAN, EV_CERT_REVOKED, EV_KINDS };
enum ev_state { EV_NONE, EV_REGISTERED, EV_PROVISIONED, EV_ACTIVE, EV_SUSPENDED, EV_REVOKED, EV_DECOMMISSIONED, EV_QUARANTINED, EV_STATES };

#define EV_CERT_KEY 20
struct ev_device {   /* an event that names a device */
    const char *uid; /* in the arena */
    int64_t index, rev;
    off_t offset; /* of its line in the file */
    enum ev_kind kind;
    enum ev_state from, to; /* EV_NONE: not one of the states */
    uint8_t cert[EV_CERT_KEY];
};
struct ev_cert {              /* an event about a certificate */
    uint8_t key[EV_CERT_KEY]; /* of SHA-256(issuer's key id || serial number) */
    uint8_t spki[8];          /* beginning of its key's hash */
    enum ev_kind kind;
    int64_t index, status;
};
struct ev_stream {
    int64_t slot, nseq; /* how far it has been read */
};
struct ev_signature { /* by a CA's key, as the signer counted it; or an orphan, which may have used up one */
    uint8_t kid[20], run[8];
    int64_t counter, index, at_ms; /* counter 0: an orphan */
};
struct ev_finding {
    bool bad;      /* false: a note */
    int64_t index; /* leaf, -1 none */
    char text[224];
};

#define EV_STREAMS 64
#define EV_FINDINGS 100 /* kept; all are counted */

struct evidence {
    FILE *file;
    struct arena arena;
    struct note_key key;
    char origin[NOTE_NAME_MAX + 1];
    int64_t declared; /* size in the header */
    int64_t erased;
    struct merkle_hash *leaf; /* leaf hashes, and above them the perfect subtrees of each level */
    size_t n, cap;
    struct merkle_hash *level[MERKLE_LEVELS];
    struct checkpoint head;
    bool has_header, has_head;
    struct ev_device *device;
    size_t ndevice, device_cap, uids, registered; /* names with events; those of them that are devices */
    struct ev_cert *cert;
    size_t ncert, cert_cap, issued;
    struct ev_signature *signature;
    size_t nsignature, signature_cap;
    int64_t last_ms; /* the newest `at` */
    int64_t accounted, runs;
    struct ev_stream stream[EV_STREAMS];
    size_t nstream;
    struct checkpoint since;
    bool has_since;
    unsigned since_proof; /* hashes in the consistency proof */
    struct ev_finding finding[EV_FINDINGS];
    size_t nfinding, bad, notes;
    enum err worst; /* of the first bad finding */
    struct ev_people *people; /* owned; evidence_people.c */
};

void evidence_free(struct evidence *ev);
void ev_bad(struct evidence *ev, enum err code, int64_t index, const char *fmt, ...) PRINTF_LIKE(4, 5);
void ev_note(struct evidence *ev, int64_t index, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Reads the whole file; findings are recorded. CE_NOT_FOUND, CE_IO: the file cannot be read. */
MUST_USE enum err evidence_read(struct evidence *ev, struct cli *c, const char *path, struct fault *f);
/* Root, signature was judged in reading; here sizes, older checkpoint, devices and certificates. Sorts device and cert. */
void evidence_judge(struct evidence *ev);
/* evidence_people.c: what more than one person must have agreed to. */
struct ev_people;
void evidence_people_free(struct ev_people *p); /* legal on NULL */
void evidence_people_take(struct evidence *ev, int64_t index, const char *kind, const json_t *o);
void evidence_judge_people(struct evidence *ev);
/* evidence_signatures.c: are all signatures of the CAs' keys there? Sorts signature. */
void evidence_judge_signatures(struct evidence *ev);
/* Inclusion proof of a leaf in the whole tree, verified. False when it does not hold. */
bool evidence_proof(const struct evidence *ev, int64_t index, struct merkle_proof *out);

/* uid NULL: every device when there are few, else none. */
MUST_USE enum err evidence_print(struct evidence *ev, struct cli *c, const char *uid, struct fault *f);

#endif
