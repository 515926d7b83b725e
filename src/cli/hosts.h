/* hosts.h: the DNS names and IP addresses in a certificate. A file of its own, because OpenSSL's x509v3.h and crypt/cert.h name the
 * same key usages. */
#ifndef CRADLE_CLI_HOSTS_H
#define CRADLE_CLI_HOSTS_H

#include "base/span.h"

/* Appends each with a blank behind it; nothing when the DER is no certificate or has none. */
void hosts_of(struct span cert_der, struct buf *out);

#endif
