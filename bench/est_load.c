/* est_load.c: a load client over kept-alive mutual TLS (mtls_load.h): registers or enrolls COUNT devices PREFIX-0 … over CONNECTIONS connections and prints one
 * line of JSON. It makes every device's key and request, and opens every connection, before the clock starts.
 * usage: est_load URL CA CERT KEY PREFIX COUNT CONNECTIONS [DIR]   URL: …/simpleenroll, or …/api/v1/devices to register (model "bench")
 * DIR: each enrolled device is kept there as PREFIX-N.pem, certificate and key (for mqttload)
 */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/file.h"
#include "bench/mtls_load.h"
#include "cradle/dev.h"

static const char *prefix, *dir; /* dir NULL: nothing is kept */
static bool registers;           /* not enrolls */
static char host[256], port[8], path[256];
static char (*bodies)[1024];
static EVP_PKEY **keys;          /* with dir */

static int load_sha256(void *ctx, const void *data, size_t n, uint8_t out[32])
{
    (void)ctx;
    return EVP_Digest(data, n, out, NULL, EVP_sha256(), NULL) != 1;
}

static int load_sign(void *ctx, const uint8_t digest[32], uint8_t *sig, size_t *sig_len)
{
    EVP_PKEY_CTX *pc = EVP_PKEY_CTX_new(ctx, NULL);
    int bad = EVP_PKEY_sign_init(pc) != 1 || EVP_PKEY_sign(pc, sig, sig_len, digest, 32) != 1;
    EVP_PKEY_CTX_free(pc);
    return bad;
}

static void device_make(int i)
{
    snprintf(bodies[i], sizeof bodies[i], "{\"uid\":\"%s-%d\",\"serial\":\"SN%d\",\"model\":\"bench\",\"batch\":\"2026-47\"}", prefix, i, i);
}

static void csr_make(int i)
{
    struct cradle_port port_of = {.ctx = EVP_EC_gen("P-256"), .sha256 = load_sha256, .sign = load_sign};
    char uid[CRADLE_UID_MAX + 1];
    uint8_t csr[CRADLE_CSR_MAX];
    size_t n = sizeof csr, len = sizeof bodies[i] - 1, point;
    EVP_PKEY_get_octet_string_param(port_of.ctx, OSSL_PKEY_PARAM_PUB_KEY, port_of.point, sizeof port_of.point, &point);
    snprintf(uid, sizeof uid, "%.40s-%d", prefix, i);
    struct cradle_name name = {.uid = uid};
    INVARIANT(cradle_csr_make(&port_of, &name, csr, &n) == CRADLE_OK);
    INVARIANT(cradle_est_body(csr, n, bodies[i], &len) == CRADLE_OK);
    bodies[i][len] = 0;
    if (dir)
        keys[i] = port_of.ctx;
    else
        EVP_PKEY_free(port_of.ctx);
}

static void device_keep(int i, const char *body, size_t len)
{
    char file[PATH_MAX_LEN], answer[ANSWER_MAX]; /* it is decoded in place */
    const uint8_t *der;
    size_t n;
    memcpy(answer, body, len);
    INVARIANT(cradle_est_answer(answer, len, &der, &n) == CRADLE_OK);
    path_join(file, "%s/%s-%d.pem", dir, prefix, i);
    FILE *f = fopen(file, "w");
    INVARIANT(f && PEM_write(f, "CERTIFICATE", "", der, (long)n) > 0 && PEM_write_PrivateKey(f, keys[i], NULL, NULL, 0, NULL, NULL) == 1);
    fclose(f);
    EVP_PKEY_free(keys[i]);
}

static int est_ask(struct mtls_load *l, int number, char *out, size_t cap)
{
    return snprintf(out, cap, "POST %s HTTP/1.1\r\nHost: %s:%s\r\nContent-Type: application/%s\r\nContent-Length: %zu\r\n\r\n%s", path, l->host, l->port,
                    registers ? "json" : "pkcs10", strlen(bodies[number]), bodies[number]);
}

static bool est_good(struct mtls_load *l, int number, int status, const char *body, size_t n)
{
    bool good = status == (registers ? 201 : 200) && n >= (registers ? 1 : 300);
    (void)l;
    if (good && dir)
        device_keep(number, body, n);
    return good;
}

int main(int argc, char **argv)
{
    if (argc < 8 || argc > 9 || atoi(argv[6]) < 1 || atoi(argv[7]) < 1 || sscanf(argv[1], "https://%255[^:/]:%7[0-9]%255s", host, port, path) != 3) {
        fprintf(stderr, "usage: est_load https://HOST:PORT/PATH CA CERT KEY PREFIX COUNT CONNECTIONS [DIR]\n");
        return 2;
    }
    prefix = argv[5];
    dir = argv[8];
    registers = !strstr(path, "/est/");
    struct mtls_load l = {.host = host, .port = port, .ask = est_ask, .good = est_good, .count = atoi(argv[6])};
    bodies = mem_calloc((size_t)l.count, sizeof *bodies);
    keys = mem_calloc((size_t)l.count, sizeof *keys);
    for (int i = 0; i < l.count; i++)
        (registers ? device_make : csr_make)(i);
    int nconns = atoi(argv[7]) < l.count ? atoi(argv[7]) : l.count;
    load_run(&l, "est_load", argv[2], argv[3], argv[4], nconns);
    mem_free_p(&bodies);
    mem_free_p(&keys);
    return l.failed != 0;
}
