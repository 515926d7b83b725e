/* est.h: the certificates of an EST answer. Internal to the device library. */
#ifndef CRADLE_DEV_EST_H
#define CRADLE_DEV_EST_H

#include "der.h"

/* Decodes body in place; *certs: the contents of its CertificateSet (RFC 5652 10.2.3). CRADLE_E_INPUT. */
int est_certs(char *body, size_t n, struct der_in *certs);

#endif
