/* note.c: see note.h. */
#include "wire/note.h"

#include "base/mem.h"
#include "crypt/ed25519.h"
#include "crypt/hash.h"

#define DASH "\xe2\x80\x94 " /* em dash and a space begin a signature line */

static bool name_is_good(struct span name)
{
    if (!name.n || name.n > NOTE_NAME_MAX || !span_is_utf8(name))
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == ' ' || name.p[i] == '+')
            return false;
    return true;
}

enum err note_key_make(struct note_key *k, struct span name, const uint8_t pub[32], struct fault *f)
{
    if (!name_is_good(name))
        return fault_set(f, CE_BAD_NAME, "signed-note: a key name is 1 to %d bytes of UTF-8 without spaces and '+'", NOTE_NAME_MAX);
    memset(k, 0, sizeof *k);
    memcpy(k->name, name.p, name.n);
    memcpy(k->pub, pub, sizeof k->pub);
    uint8_t text[NOTE_NAME_MAX + 2 + 32], hash[32];
    memcpy(text, name.p, name.n);
    text[name.n] = '\n';
    text[name.n + 1] = NOTE_ALG_ED25519;
    memcpy(text + name.n + 2, pub, 32);
    sha256(span_of(text, name.n + 2 + 32), hash);
    memcpy(k->id, hash, sizeof k->id);
    return CE_OK;
}

enum err note_key_parse(struct span vkey, struct note_key *k, struct fault *f)
{
    struct span rest = span_trim(vkey), name, id_hex;
    CLEANUP(buf_free) struct buf id = BUF_INIT(8);
    CLEANUP(buf_free) struct buf pub = BUF_INIT(64);
    if (!span_cut(&rest, '+', &name) || !span_cut(&rest, '+', &id_hex) || id_hex.n != 8 || hex_decode(id_hex, &id) ||
        base64_decode(rest, &pub) || pub.len != 33)
        return fault_set(f, CE_BAD_CHECKPOINT, "signed-note: a verifier key is NAME+8 hex digits+base64 of 33 bytes");
    if (pub.data[0] != NOTE_ALG_ED25519)
        return fault_set(f, CE_BAD_CHECKPOINT, "signed-note: key type %u is not Ed25519 (1)", pub.data[0]);
    enum err e = note_key_make(k, name, pub.data + 1, f);
    if (e)
        return fault_set(f, CE_BAD_CHECKPOINT, "signed-note: the name in the verifier key is malformed");
    if (memcmp(k->id, id.data, 4) != 0)
        return fault_set(f, CE_BAD_CHECKPOINT, "signed-note: the key id does not belong to this name and key");
    return CE_OK;
}

void note_key_put(const struct note_key *k, struct buf *out)
{
    uint8_t typed[33] = { NOTE_ALG_ED25519 };
    memcpy(typed + 1, k->pub, 32);
    buf_put_str(out, k->name);
    buf_put_u8(out, '+');
    buf_put_hex(out, span_of(k->id, sizeof k->id));
    buf_put_u8(out, '+');
    buf_put_base64(out, span_of(typed, sizeof typed), 0);
}

enum err note_sign(const struct note_key *k, struct key *key, struct span text, struct buf *out)
{
    uint8_t blob[4 + ED25519_SIG];
    if (!text.n || text.p[text.n - 1] != '\n')
        return CE_BAD_CHECKPOINT;
    enum err e = ed25519_sign(key, text, blob + 4);
    if (e)
        return e;
    memcpy(blob, k->id, 4);
    buf_put_span(out, text);
    buf_put_str(out, "\n" DASH);
    buf_put_str(out, k->name);
    buf_put_u8(out, ' ');
    buf_put_base64(out, span_of(blob, sizeof blob), 0);
    buf_put_u8(out, '\n');
    return buf_err(out);
}

static bool text_is_clean(struct span text) /* UTF-8, no control bytes but newlines */
{
    struct span line;
    while (span_cut(&text, '\n', &line))
        if (!span_is_utf8(line))
            return false;
    return true;
}

enum err note_split(struct span note, struct span *text, struct span *sigs, struct fault *f)
{
    if (note.n > NOTE_MAX || note.n < 4 || note.p[note.n - 1] != '\n' || !text_is_clean(note))
        return fault_set(f, CE_BAD_CHECKPOINT, "signed-note: not a note (UTF-8 text of at most %d bytes that ends in a newline)", NOTE_MAX);
    size_t cut = note.n - 1;
    while (cut > 0 && !(note.p[cut] == '\n' && note.p[cut - 1] == '\n'))
        cut--;
    if (cut == 0 || cut + 1 == note.n)
        return fault_set(f, CE_BAD_CHECKPOINT, "signed-note: there is no empty line followed by signatures");
    *text = span_of(note.p, cut);
    *sigs = span_of(note.p + cut + 1, note.n - cut - 1);
    struct span rest = *sigs, line;
    unsigned n = 0;
    while (span_cut(&rest, '\n', &line))
        if (!span_starts(line, DASH) || ++n > NOTE_SIGS_MAX)
            return fault_set(f, CE_BAD_CHECKPOINT, "signed-note: line %u after the empty line is not a signature", n + 1);
    return CE_OK;
}

enum err note_verify(const struct note_key *k, struct span note, struct span *text, struct fault *f)
{
    struct span sigs, line, name;
    enum err e = note_split(note, text, &sigs, f);
    if (e)
        return e;
    while (span_cut(&sigs, '\n', &line)) {
        CLEANUP(buf_free) struct buf blob = BUF_INIT(NOTE_MAX);
        struct span rest = span_of(line.p + sizeof DASH - 1, line.n - (sizeof DASH - 1));
        if (!span_cut(&rest, ' ', &name) || !name_is_good(name) || !rest.n || base64_decode(rest, &blob) || blob.len < 5)
            return fault_set(f, CE_BAD_CHECKPOINT, "signed-note: a signature line is not NAME and base64 of key id and signature");
        if (!span_eq_str(name, k->name) || memcmp(blob.data, k->id, 4) != 0)
            continue;
        if (blob.len != 4 + ED25519_SIG || ed25519_verify(k->pub, *text, span_of(blob.data + 4, ED25519_SIG)))
            return fault_set(f, CE_BAD_SIGNATURE, "the signature by %s does not verify: the note was changed or is not from this log",
                             k->name);
        return CE_OK;
    }
    return fault_set(f, CE_BAD_SIGNATURE, "the note has no signature by %s; is this the key of another log?", k->name);
}
