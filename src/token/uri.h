/* uri.h: PKCS#11 URIs (RFC 7512): which module, which token, which key. Pure; the token itself is token.h.
 *
 *     pkcs11:token=LABEL;object=LABEL?module-path=FILE&pin-source=FILE
 *
 * Every attribute of RFC 7512 2.3 is read, each at most once, percent-decoded once. One that is not known is refused: it would say
 * something about the key that we do not check. pin-value is refused: command lines and files with URIs are read by others.
 */
#ifndef CRADLE_TOKEN_URI_H
#define CRADLE_TOKEN_URI_H

#include "base/file.h"
#include "base/span.h"

#define PKCS11_LABEL_MAX 128
#define PKCS11_ID_MAX 64

struct pkcs11_uri {
    char token[33], manufacturer[33], model[17], serial[17]; /* of the token; empty: any */
    char slot_description[65], slot_manufacturer[33];
    bool has_slot;
    uint64_t slot;                     /* slot-id; numbers change when readers are plugged: prefer token or serial */
    char object[PKCS11_LABEL_MAX + 1]; /* label of the key pair */
    uint8_t id[PKCS11_ID_MAX];         /* CKA_ID of the key pair */
    size_t id_len;                     /* 0: any */
    char module[PATH_MAX_LEN];         /* absolute: module-path, or module-path as a folder and module-name in it */
    char module_name[33];              /* module-name alone: looked for where distributions put modules */
    char pin_source[PATH_MAX_LEN];     /* a file; empty: the PIN is asked for */
};

/* object_default: label of the key when neither object nor id is there. CE_USAGE says which attribute is wrong or missing: one of token, serial
 * and slot-id is needed, and one of module-path and module-name. */
MUST_USE enum err pkcs11_uri_parse(struct span uri, const char *object_default, struct pkcs11_uri *out, struct fault *f);
/* Appends the URI, one that pkcs11_uri_parse takes, with `label` for its object. CE_TOO_LARGE: out is full. */
MUST_USE enum err pkcs11_uri_relabel(struct span uri, const char *label, struct buf *out);
/* The same token of the same module? */
bool pkcs11_uri_same_token(const struct pkcs11_uri *a, const struct pkcs11_uri *b);

#endif
