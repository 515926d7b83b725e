/* oid.h: contents of the OBJECT IDENTIFIERs that more than one file writes or compares, as string literals: SPAN_LIT(OID_…). */
#ifndef CRADLE_CRYPT_OID_H
#define CRADLE_CRYPT_OID_H

/* keys: RFC 5480 2.1.1, RFC 3279 2.3.1, RFC 8410 3 */
#define OID_EC_PUBLIC_KEY "\x2a\x86\x48\xce\x3d\x02\x01"
#define OID_P256 "\x2a\x86\x48\xce\x3d\x03\x01\x07"
#define OID_P384 "\x2b\x81\x04\x00\x22"
#define OID_RSA "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
#define OID_ED25519 "\x2b\x65\x70"
#define OID_MLDSA "\x60\x86\x48\x01\x65\x03\x04\x03" /* then 11, 12, 13 for ML-DSA-44, -65, -87: FIPS 204 */

/* signatures: RFC 5758 3.2, RFC 4055 5 */
#define OID_ECDSA "\x2a\x86\x48\xce\x3d\x04\x03"         /* then 02, 03, 04 for SHA-256, SHA-384, SHA-512 */
#define OID_PKCS1 "\x2a\x86\x48\x86\xf7\x0d\x01\x01"     /* then 0b, 0c, 0d for the same */

/* id-pkix, RFC 5280 A.2, and OCSP below it, RFC 6960 4.2.1 */
#define OID_PKIX "\x2b\x06\x01\x05\x05\x07"
#define OID_PKIX_OCSP OID_PKIX "\x30\x01"
#define OID_OCSP_NOCHECK OID_PKIX_OCSP "\x05"
/* extended key usage of our initial identities, 2.25.139923960999525251500141259579953825029: every TLS server that judges usages refuses them as a client's */
#define OID_KP_IDEVID "\x69\x81\xd2\xc4\xaf\xfa\x92\xc4\x8a\x82\x8d\xb9\x82\xe3\x9d\x9a\xbb\xd3\x8a\x05"
#define OID_HARDWARE_MODULE_NAME OID_PKIX "\x08\x04" /* id-on-hardwareModuleName, RFC 4108 5 */

/* attributes of CSR attributes, RFC 9908 appendix A: id-aa-certificationRequestInfoTemplate, id-aa-extensionReqTemplate */
#define OID_REQUEST_INFO_TEMPLATE "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x3d"
#define OID_EXTENSION_REQ_TEMPLATE "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x3e"

#endif
