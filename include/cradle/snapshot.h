/* cradle/snapshot.h: the format of the revocation snapshot and of the frames that keep it fresh.
 *
 * What it is: the bytes that a signer of cradled signs, that cradle-edge stores, and that any consumer on the
 * host (the Mosquitto plugin, an API server) maps read-only and verifies by itself with the stream's public key.
 * What it is not: a CRL. It says who must be cut now; CRLs and OCSP say so to X.509 clients.
 *
 * All integers big-endian. Signatures: Ed25519 (RFC 8032) by the stream key over every byte before the signature,
 * which begins with a magic of its own for each kind, so that one kind can never pass for another.
 *
 * Vector: text "slot:nseq,slot:nseq" with slots ascending; how far each node's event stream is contained.
 *
 * Snapshot file (revocation.snap; replaced by rename only):
 *   header   8  magic "CRDLSNP2"
 *            8  u64 at_ms, when it was made (ms since 1970)
 *            4  u32 n_certs    4  u32 n_idents   4  u32 n_lines   4  u32 n_repair   4  u32 n_policies (always 1)
 *           32  SHA-256 of the body
 *            2  u16 length of the vector text, then the vector text
 *           64  signature over all of the above
 *   body     n_certs  x 20  revoked certificates, ascending
 *            n_idents x 20  blocked identities (revoked, suspended, decommissioned devices; removed operators), ascending
 *            n_lines  x 20  suspended lines, ascending
 *            n_repair x 20  quarantined identities, which may talk to their repair topics only, ascending
 *            1        x 20  key of the policy document in force
 *
 * Key of a certificate: first 20 bytes of SHA-256("cert" || issuer key id (AKI, 20 bytes) || serial, minimal big-endian).
 * A CA whose certificates count no more (retired, compromised) stands among them with an empty serial: all of its certificates are meant.
 * Key of an identity:   first 20 bytes of SHA-256("uid"  || UID).   Key of a line: SHA-256("line" || name).
 * Key of a policy document: SHA-256("policy" || document).
 *
 * Tail file (revocation.tail; made new with each snapshot, then only appended to): 32 bytes SHA-256 of the snapshot's header
 * (with signature), then frames.
 *
 * Frame (also what GET /edge/v1/stream sends; a stream may begin with a whole snapshot):
 *            4  magic "CRF1"
 *            4  u32 length of the whole frame
 *            8  u64 at_ms
 *            2  u16 length of prev vector, prev vector   state it applies to
 *            2  u16 length of vector, vector             state after it (equal to prev: a heartbeat)
 *            2  u16 number of entries, then entries of 22 bytes: u8 set, u8 op, 20-byte key
 *           64  signature over all of the above
 *
 * Policy document (in the stream only, before the snapshot or frame that first names its key; not signed: the signed key is its hash):
 *            4  magic "CRP1"
 *            4  u32 length of the whole item
 *               the document: text, docs/broker.md
 */
#ifndef CRADLE_SNAPSHOT_H
#define CRADLE_SNAPSHOT_H

#define SNAPSHOT_MAGIC "CRDLSNP2"
#define SNAPSHOT_FRAME_MAGIC "CRF1"
#define SNAPSHOT_POLICY_MAGIC "CRP1"
#define SNAPSHOT_KEY 20
#define SNAPSHOT_SIG 64
#define SNAPSHOT_FIXED 68       /* header bytes before the vector length */
#define SNAPSHOT_ENTRY 22
#define SNAPSHOT_FRAME_MAX 65536
#define SNAPSHOT_VECTOR_MAX 1024
#define SNAPSHOT_POLICY_MAX 1048576 /* bytes of a policy item, magic and length included */
#define SNAPSHOT_SETS 5

enum snapshot_set {
    SNAPSHOT_SET_CERT = 1, SNAPSHOT_SET_IDENT = 2, SNAPSHOT_SET_LINE = 3, SNAPSHOT_SET_REPAIR = 4, SNAPSHOT_SET_POLICY = 5
};
enum snapshot_op { SNAPSHOT_OP_ADD = 1, SNAPSHOT_OP_DEL = 2 };

#endif
