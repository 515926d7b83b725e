/* tlsinfo.h: which TLS a client of the broker speaks. The plugin interface hands out a client's certificate only, so OpenSSL is asked to
 * tell of every SSL object that this process makes (CRYPTO_get_ex_new_index(3)), and at a login the one that holds that very X509 is
 * looked up. It is telemetry: nothing is decided by it, and what it does not find is reported as not known.
 */
#ifndef CRADLE_PLUGIN_TLSINFO_H
#define CRADLE_PLUGIN_TLSINFO_H

#include <openssl/types.h>

#include "base/err.h"
#include "snap/policyfile.h"

#define TLSINFO_TEXT_MAX 64
#define TLSINFO_SCAN 4096 /* connections looked at for one login: so many that have not logged in yet can hide one, and hold nobody up */

struct tlsinfo {
    char text[TLSINFO_TEXT_MAX]; /* "TLSv1.3 TLS_AES_256_GCM_SHA384"; "": not known */
    bool resumed;                /* the handshake was a resumed one */
};

/* Once in a process, before connections are accepted; those made before are not known. CE_UNSUPPORTED: OpenSSL gives no index. */
MUST_USE enum err tlsinfo_open(struct fault *f);
/* The document whose CAs lead from a client's certificate to a root of the broker's cafile, from the next connection on. Takes a reference of its
 * own; NULL: none. Any thread. */
void tlsinfo_policy(struct policyfile *p);
void tlsinfo_close(void); /* forgets everything; connections that go on are not looked at again */
/* The connection of the calling thread whose peer showed cert (compared by pointer; NULL: none). A connection is found once. */
struct tlsinfo tlsinfo_take(const X509 *cert);
size_t tlsinfo_waiting(void); /* connections that have not been found yet */

#endif
