/* textbook.c: the public peer of the issuance benchmark: what a careful engineer writes with OpenSSL's X509 API and SQLite in an afternoon.
 * It is not part of the product. usage: textbook SECONDS BATCH   prints certificates per second; BATCH certificates a transaction.
 */
#include <openssl/x509v3.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NKEYS 64

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "textbook: %s\n", what);
    exit(1);
}

static unsigned char *request_der[NKEYS];
static int request_len[NKEYS];

static void requests_make(void)
{
    for (int i = 0; i < NKEYS; i++) {
        char cn[32];
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509_REQ *req = X509_REQ_new();
        snprintf(cn, sizeof cn, "device-%d", i);
        X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(req), "CN", MBSTRING_UTF8, (unsigned char *)cn, -1, -1, 0);
        X509_REQ_set_pubkey(req, key);
        X509_REQ_sign(req, key, EVP_sha256());
        request_len[i] = i2d_X509_REQ(req, &request_der[i]);
        X509_REQ_free(req);
        EVP_PKEY_free(key);
    }
}

static void extension_add(X509 *x, X509 *ca, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, ca, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    if (!e || !X509_add_ext(x, e, -1))
        die(value);
    X509_EXTENSION_free(e);
}

static X509 *ca_make(EVP_PKEY *key)
{
    X509 *ca = X509_new();
    X509_set_version(ca, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(ca), 1);
    X509_gmtime_adj(X509_getm_notBefore(ca), 0);
    X509_gmtime_adj(X509_getm_notAfter(ca), 86400 * 365);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(ca), "CN", MBSTRING_UTF8, (const unsigned char *)"Textbook CA", -1, -1, 0);
    X509_set_issuer_name(ca, X509_get_subject_name(ca));
    X509_set_pubkey(ca, key);
    extension_add(ca, ca, NID_basic_constraints, "critical,CA:TRUE");
    extension_add(ca, ca, NID_subject_key_identifier, "hash");
    X509_sign(ca, key, EVP_sha256());
    return ca;
}

static void issue(X509 *ca, EVP_PKEY *ca_key, sqlite3_stmt *insert, int i)
{
    const unsigned char *p = request_der[i];
    unsigned char *der = NULL;
    X509_REQ *req = d2i_X509_REQ(NULL, &p, request_len[i]);
    if (!req || X509_REQ_verify(req, X509_REQ_get0_pubkey(req)) != 1)
        die("request");
    X509 *x = X509_new();
    BIGNUM *serial = BN_new();
    BN_rand(serial, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY);
    BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x));
    X509_set_version(x, 2);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400 * 365);
    X509_set_subject_name(x, X509_REQ_get_subject_name(req));
    X509_set_issuer_name(x, X509_get_subject_name(ca));
    X509_set_pubkey(x, X509_REQ_get0_pubkey(req));
    extension_add(x, ca, NID_basic_constraints, "critical,CA:FALSE");
    extension_add(x, ca, NID_key_usage, "critical,digitalSignature");
    extension_add(x, ca, NID_ext_key_usage, "clientAuth");
    extension_add(x, ca, NID_subject_key_identifier, "hash");
    extension_add(x, ca, NID_authority_key_identifier, "keyid");
    extension_add(x, ca, NID_crl_distribution_points, "URI:http://localhost/crl/0.crl");
    if (!X509_sign(x, ca_key, EVP_sha256()))
        die("sign");
    int n = i2d_X509(x, &der);
    char hex[64];
    char *text = BN_bn2hex(serial);
    snprintf(hex, sizeof hex, "%s", text);
    sqlite3_bind_text(insert, 1, hex, -1, SQLITE_TRANSIENT);
    sqlite3_bind_blob(insert, 2, der, n, SQLITE_TRANSIENT);
    if (sqlite3_step(insert) != SQLITE_DONE)
        die("insert");
    sqlite3_reset(insert);
    OPENSSL_free(text);
    OPENSSL_free(der);
    BN_free(serial);
    X509_free(x);
    X509_REQ_free(req);
}

int main(int argc, char **argv)
{
    double limit_s = argc > 1 ? atof(argv[1]) : 2;
    int batch = argc > 2 ? atoi(argv[2]) : 1;
    char path[] = "/tmp/textbook-XXXXXX";
    sqlite3 *db;
    sqlite3_stmt *insert;
    close(mkstemp(path));
    if (batch < 1 || sqlite3_open(path, &db) || sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE cert(serial TEXT PRIMARY KEY, der BLOB)", 0, 0, 0) ||
        sqlite3_prepare_v2(db, "INSERT INTO cert VALUES(?,?)", -1, &insert, 0))
        die("database");
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *ca = ca_make(key);
    requests_make();
    long n = 0;
    double began = now_s();
    while (now_s() - began < limit_s) {
        sqlite3_exec(db, "BEGIN", 0, 0, 0);
        for (int i = 0; i < batch; i++)
            issue(ca, key, insert, (int)(n++ % NKEYS));
        if (sqlite3_exec(db, "COMMIT", 0, 0, 0))
            die("commit");
    }
    printf("%.0f\n", (double)n / (now_s() - began));
    sqlite3_finalize(insert);
    sqlite3_close(db);
    X509_free(ca);
    EVP_PKEY_free(key);
    for (int i = 0; i < NKEYS; i++)
        OPENSSL_free(request_der[i]);
    char extra[64];
    unlink(path);
    snprintf(extra, sizeof extra, "%s-wal", path);
    unlink(extra);
    snprintf(extra, sizeof extra, "%s-shm", path);
    unlink(extra);
    return 0;
}
