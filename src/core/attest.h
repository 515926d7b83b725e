/* attest.h: where the keys of devices live: what a device says of it, what a TPM proves of it by credential activation (crypt/tpm.h), and which lines demand the proof.
 *
 * Front reads and judges the TPM's structures; here is decided whose TPM it may be. A challenge lives in memory, for one answer and ATTEST_LIFE_MS; a restart forgets
 * it, and the device asks again.
 */
#ifndef CRADLE_CORE_ATTEST_H
#define CRADLE_CORE_ATTEST_H

#include "core/cert_path.h"

#define ATTEST_LIFE_MS 60000
#define ATTEST_OPEN_MAX 1024 /* challenges at once; each device has one, its newest */
#define ATTEST_ID_LEN 16
#define ATTEST_SECRET_LEN 32
#define EK_CAS_MAX 32         /* CAs of TPMs that a line may have */

/* MSG_ATTEST_BEGIN: reply body id || secret. CE_EK_UNKNOWN (the TPM is another one than the register holds for the device, or another device's, or nobody vouches for
 * it), CE_UID_UNKNOWN, CE_LINE_FORBIDDEN, CE_NAME_MISMATCH (a device asks for another), CE_BUSY. */
MUST_USE enum err attest_op_begin(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* MSG_ATTEST_END: the secret has come back: the key lives in that TPM, which is the device's from now on. CE_NOT_FOUND (no such challenge, or answered, or over),
 * CE_BAD_PROOF. Whatever the answer is, the challenge has ended. */
MUST_USE enum err attest_op_end(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* MSG_DEVICE_EK: which TPM belongs to a device. CE_UID_UNKNOWN, CE_EK_UNKNOWN (it is another device's). */
MUST_USE enum err attest_op_device_ek(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* MSG_EK_CA: a CA vouches for the TPMs of a line, or not any more. CE_LINE_UNKNOWN, CE_EXISTS, CE_NOT_FOUND. */
MUST_USE enum err attest_op_ek_ca(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);

/* The setting of a line ("tpm", "any") into more and its table, with its event. CE_BAD_FIELD. */
struct line_more;
MUST_USE enum err key_home_line_set(struct batch *b, const struct caller *c, const struct msg_line_set *m, struct line_more *more, struct fault *f);
/* Does the line take this key? CE_KEY_HOME. */
MUST_USE enum err key_home_judge(struct batch *b, const struct cert_plan *plan, struct fault *f);
/* Writes down what the device says of the key that it gets a certificate for, unless more is known of that key. said may be empty. */
MUST_USE enum err key_home_note(struct batch *b, const struct cert_plan *plan, struct span said, struct fault *f);
/* Row and event. */
struct key_home_row;
MUST_USE enum err key_home_write(struct batch *b, const struct key_home_row *r, struct span by, struct fault *f);
/* The TPM of a device that is being registered, or that is changed: with its event. */
MUST_USE enum err device_ek_write(struct batch *b, const struct caller *c, struct span uid, struct span ek, struct span note, struct fault *f);

extern const struct core_part attest_part;

#endif
