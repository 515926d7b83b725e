/* note.h: C2SP signed notes (c2sp.org/signed-note) with Ed25519 keys: text, an empty line, signature lines.
 * Pure codec plus the signature itself: reads and writes no files, holds no keys.
 *
 * Verifier key (vkey) text: NAME+HHHHHHHH+BASE64(0x01 || 32-byte public key); key id HHHHHHHH = first 4 bytes of
 * SHA-256(NAME || "\n" || 0x01 || public key).
 */
#ifndef CRADLE_WIRE_NOTE_H
#define CRADLE_WIRE_NOTE_H

#include "base/span.h"
#include "crypt/key.h"

#define NOTE_NAME_MAX 200
#define NOTE_MAX 16384   /* bytes of a whole note */
#define NOTE_SIGS_MAX 32 /* signature lines looked at; more are CE_BAD_CHECKPOINT */
#define NOTE_ALG_ED25519 0x01

struct note_key {
    char name[NOTE_NAME_MAX + 1];
    uint8_t id[4];
    uint8_t pub[32];
};

/* Name: 1..200 bytes of UTF-8 without spaces, control bytes and '+'. Fills id. CE_BAD_NAME. */
MUST_USE enum err note_key_make(struct note_key *k, struct span name, const uint8_t pub[32], struct fault *f);
/* Reads vkey text (white space around it ignored). CE_BAD_CHECKPOINT. */
MUST_USE enum err note_key_parse(struct span vkey, struct note_key *k, struct fault *f);
void note_key_put(const struct note_key *k, struct buf *out); /* without a newline */

/* Appends the note: text (which ends in "\n") + "\n" + one signature line by the Ed25519 key. CE_CRYPTO, CE_KEY_ALG. */
MUST_USE enum err note_sign(const struct note_key *k, struct key *key, struct span text, struct buf *out);
/* *text = the signed part inside note (ends in "\n"). Signature lines by unknown keys are ignored; one by k must be there
 * and hold. CE_BAD_CHECKPOINT: not a note. CE_BAD_SIGNATURE: no line by k, or it does not verify. */
MUST_USE enum err note_verify(const struct note_key *k, struct span note, struct span *text, struct fault *f);
/* Cuts a note into its text and its signature lines (each "— NAME BASE64\n") without verifying. CE_BAD_CHECKPOINT. */
MUST_USE enum err note_split(struct span note, struct span *text, struct span *sigs, struct fault *f);

#endif
