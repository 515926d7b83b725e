/* load_fleet.h: the devices of mqttload: what each is, the folder that they come from, and how one shows its identity in TLS. */
#ifndef CRADLE_BENCH_LOAD_FLEET_H
#define CRADLE_BENCH_LOAD_FLEET_H

#include <dirent.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "cradle/dev.h"

enum phase { WAITING, CONNECTING, TLS, CONNACK, LIVE };

struct device {
    char *uid;
    unsigned char *cert, *key; /* DER */
    int cert_n, key_n, key_type, fd;
    SSL *ssl;
    enum phase phase;
    unsigned attempt;
    int64_t next_ms;   /* WAITING: when to try; LIVE: when to ping; else when to give up. Monotonic, like the others */
    int64_t first_ms;  /* of the tries since the last session */
    int64_t heard_ms;
    uint32_t left;     /* bytes of the packet that is being read */
    uint8_t head[8];   /* its first ones */
    uint8_t n_head;
};

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "mqttload: %s: %s\n", what, why);
    exit(1);
}

static int pem_name(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return n > 4 && n <= 4 + CRADLE_UID_MAX && !strcmp(e->d_name + n - 4, ".pem");
}

static void device_load(struct device *d, const char *dir, const char *name)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s", dir, name);
    FILE *f = fopen(path, "r");
    X509 *x = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = x ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;
    if (!key)
        die(path, "holds no certificate followed by its key");
    fclose(f);
    *d = (struct device){ .uid = mem_strdup(name), .fd = -1 };
    d->uid[strlen(name) - 4] = 0;
    d->cert_n = i2d_X509(x, &d->cert);
    d->key_n = i2d_PrivateKey(key, &d->key);
    d->key_type = EVP_PKEY_get_base_id(key);
    X509_free(x);
    EVP_PKEY_free(key);
}

/* Devices skip .. skip + count - 1 of the folder, in the order of their names; count 0: all from skip on. *n: how many. Owned by the caller. */
static struct device *fleet_load(const char *dir, int skip, int count, int *n)
{
    struct dirent **names;
    int all = scandir(dir, &names, pem_name, alphasort);
    if (all - skip < count || all <= skip)
        die(dir, "holds too few files UID.pem");
    *n = count ? count : all - skip;
    struct device *devices = mem_calloc((size_t)*n, sizeof *devices);
    for (int i = 0; i < all; i++) {
        if (i >= skip && i < skip + *n)
            device_load(&devices[i - skip], dir, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return devices;
}

static bool own_identity(struct device *d)
{
    const unsigned char *p = d->key;
    EVP_PKEY *key = d2i_PrivateKey(d->key_type, NULL, &p, d->key_n); /* a third of the cost of finding out the type */
    bool good = key && SSL_use_certificate_ASN1(d->ssl, d->cert, d->cert_n) == 1 && SSL_use_PrivateKey(d->ssl, key) == 1;
    EVP_PKEY_free(key);
    return good;
}

/* The server's certificate is verified once: all devices meet the same server, and a quarter of a login's cost would be this. */
static int server_verify(X509_STORE_CTX *c, void *arg)
{
    static X509 *good;
    X509 *now = X509_STORE_CTX_get0_cert(c);
    (void)arg;
    if (good && !X509_cmp(good, now))
        return 1;
    if (X509_verify_cert(c) != 1)
        return 0;
    X509_free(good);
    good = now;
    return X509_up_ref(now);
}

static SSL_CTX *fleet_tls(const char *ca)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (!tls || SSL_CTX_load_verify_locations(tls, ca, NULL) != 1)
        die(ca, "is no CA file");
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(tls, server_verify, NULL);
    SSL_CTX_set_options(tls, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    return tls;
}

#endif
