/* est_client.c: an EST client on libest, as a maker's firmware would have one: no code of ours in it. For t/trixie/est_peers.sh.
 * usage: est_client HOST PORT TRUST cacerts - - OUT | enroll CERT KEY OUT DEVICE-KEY CN | reenroll CERT KEY OUT DEVICE-KEY CN
 */
#include <est/est.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int verify_any(X509 *cert, int err) { (void)cert; (void)err; return 0; } /* what OpenSSL does not accept is refused */

static unsigned char *file_read(const char *path, int *n)
{
    FILE *f = fopen(path, "rb");
    unsigned char *b = calloc(1, 1 << 20);
    if (!f || !b)
        exit(2);
    *n = (int)fread(b, 1, (1 << 20) - 1, f);
    fclose(f);
    return b;
}

static EVP_PKEY *key_read(const char *path)
{
    FILE *f = fopen(path, "r");
    EVP_PKEY *k = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;
    if (!k)
        exit(2);
    fclose(f);
    return k;
}

static X509 *cert_read(const char *path)
{
    FILE *f = fopen(path, "r");
    X509 *c = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
    if (!c)
        exit(2);
    fclose(f);
    return c;
}

static int out_write(const char *path, const unsigned char *b, int n)
{
    FILE *f = fopen(path, "wb");
    return !f || fwrite(b, 1, (size_t)n, f) != (size_t)n || fclose(f);
}

int main(int argc, char **argv)
{
    if (argc < 8)
        return 2;
    const char *what = argv[4];
    int n = 0, own = strcmp(what, "cacerts") != 0;
    unsigned char *trust = file_read(argv[3], &n), *out;
    est_init_logger(EST_LOG_LVL_ERR, NULL);
    est_apps_startup();
    EST_CTX *c = est_client_init(trust, n, EST_CERT_FORMAT_PEM, verify_any);
    if (!c || (own && argc < 10))
        return 2;
    EST_ERROR e = est_client_set_auth(c, NULL, NULL, own ? cert_read(argv[5]) : NULL, own ? key_read(argv[6]) : NULL);
    if (!e)
        e = est_client_set_server(c, argv[1], atoi(argv[2]), NULL);
    if (!e && !own)
        e = est_client_get_cacerts(c, &n);
    else if (!e && strcmp(what, "enroll") == 0)
        e = est_client_enroll(c, argv[9], &n, key_read(argv[8]));
    else if (!e)
        e = est_client_reenroll(c, cert_read(argv[5]), &n, key_read(argv[8]));
    if (e) {
        fprintf(stderr, "libest: %d %s, HTTP status %d\n", e, EST_ERR_NUM_TO_STR(e), est_client_get_last_http_status(c));
        return 1;
    }
    out = calloc(1, (size_t)n + 1);
    e = own ? est_client_copy_enrolled_cert(c, out) : est_client_copy_cacerts(c, out);
    if (e || out_write(argv[7], out, n))
        return 1;
    est_destroy(c);
    est_apps_shutdown();
    return 0;
}
