/* hosts.c: see hosts.h. */
#include "cli/hosts.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>

static void put_name(const GENERAL_NAME *n, struct buf *out)
{
    char text[INET6_ADDRSTRLEN];
    if (n->type == GEN_DNS)
        buf_printf(out, "%.*s ", ASN1_STRING_length(n->d.dNSName), (const char *)ASN1_STRING_get0_data(n->d.dNSName));
    if (n->type != GEN_IPADD)
        return;
    int family = ASN1_STRING_length(n->d.iPAddress) == 4 ? AF_INET : AF_INET6;
    if (inet_ntop(family, ASN1_STRING_get0_data(n->d.iPAddress), text, sizeof text))
        buf_printf(out, "%s ", text);
}

void hosts_of(struct span cert_der, struct buf *out)
{
    const unsigned char *p = cert_der.p;
    X509 *x = d2i_X509(NULL, &p, (long)cert_der.n);
    GENERAL_NAMES *names = x ? X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL) : NULL;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        put_name(sk_GENERAL_NAME_value(names, i), out);
    GENERAL_NAMES_free(names);
    X509_free(x);
}
