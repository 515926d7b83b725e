/* ca.h: an issuing CA as the code sees it: its certificate, the URLs that it writes into certificates, the hashes by which OCSP
 * clients name it, and (in the signer and in `cradle init` only) its keys. Used by one thread at a time.
 */
#ifndef CRADLE_CRYPT_CA_H
#define CRADLE_CRYPT_CA_H

#include "base/name.h"
#include "base/span.h"
#include "crypt/ca_set.h"
#include "crypt/cert.h"
#include "crypt/key.h"

#define CA_URL_MAX 256
#define CA_SHARDS_MAX 4096

struct ca {
    enum ca_use use;              /* what it issues for: of the certificate profiles that name this use */
    char name[LABEL_MAX + 1];     /* part of its URLs */
    char base_url[CA_URL_MAX];    /* "http://HOST:PORT", no slash at the end */
    unsigned n_shards;            /* CRL shards of this CA, 1..CA_SHARDS_MAX */
    struct buf der;               /* owned */
    struct cert cert;             /* points into der */
    struct pubkey *pub;           /* owned: verifies what key signs before it is released */
    struct key *key;              /* owned; NULL without keys */
    struct buf ocsp_der;          /* owned; delegated responder certificate; empty when there is none */
    struct cert ocsp_cert;
    struct pubkey *ocsp_pub;      /* owned */
    struct key *ocsp_key;         /* owned */
    uint8_t name_sha1[20], key_sha1[20], name_sha256[32], key_sha256[32]; /* RFC 6960 4.1.1 issuerNameHash, issuerKeyHash */
};
/* From memory: copies cert_der; takes key (may be NULL, must match the certificate). Its use is the one that it is named after. */
MUST_USE enum err ca_open(struct ca *ca, const char *name, struct span cert_der, struct key *key, const char *base_url,
                          unsigned n_shards, struct fault *f);
/* From a site: DIR/ca/NAME.pem, DIR/ca/NAME.use; with keys also DIR/ca/NAME-ocsp.pem and the keys NAME and NAME-ocsp, as far as
 * they are for this process (key, ocsp_key NULL: not). keys NULL: certificates alone. */
MUST_USE enum err ca_load(struct ca *ca, const char *site_dir, const char *name, const char *base_url, unsigned n_shards,
                          const struct key_source *keys, struct fault *f);
void ca_close(struct ca *ca); /* legal on a zeroed struct */

/* The shard that a serial's revocation is listed in: the last two bytes mod n_shards. */
unsigned ca_shard(const struct ca *ca, struct span serial);
unsigned crl_shard_of(struct span serial, unsigned n_shards);
/* The URLs in certificates; out has CA_URL_MAX + 128 bytes. */
#define CA_URL_OUT (CA_URL_MAX + 128)
void ca_url_crl(const struct ca *ca, unsigned shard, char *out);  /* BASE/crl/NAME/SHARD.crl */
void ca_url_cert(const struct ca *ca, char *out);                 /* BASE/ca/NAME.cer */
void ca_url_ocsp(const struct ca *ca, char *out);                 /* BASE/ocsp */

#endif
