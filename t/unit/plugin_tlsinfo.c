/* plugin_tlsinfo.c: version, cipher and resumption of a client are found by its certificate alone, among many connections, on either TLS
 * version; and connections that come and go before, after and without a login leave nothing behind. Real handshakes in memory. */
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "plugin/tlsinfo.h"
#include "t/tap.h"

static SSL_CTX *server_ctx, *client_ctx;
static SSL_SESSION *ticket;

static void must(bool good, const char *what)
{
    if (!good) {
        printf("Bail out! %s\n", what);
        exit(1);
    }
}

static int on_session(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    SSL_SESSION_free(ticket);
    ticket = s;
    return 1;
}

static void identity(SSL_CTX *ctx)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)"x", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_set_pubkey(cert, key);
    must(X509_sign(cert, key, EVP_sha256()) && SSL_CTX_use_certificate(ctx, cert) && SSL_CTX_use_PrivateKey(ctx, key), "certificate");
    X509_free(cert);
    EVP_PKEY_free(key);
}

static int take_any(X509_STORE_CTX *x, void *arg)
{
    (void)x, (void)arg;
    return 1;
}

static void contexts(void)
{
    server_ctx = SSL_CTX_new(TLS_server_method());
    client_ctx = SSL_CTX_new(TLS_client_method());
    identity(server_ctx);
    identity(client_ctx);
    SSL_CTX_set_verify(server_ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(server_ctx, take_any, NULL);
    SSL_CTX_set_session_id_context(server_ctx, (const unsigned char *)"t", 1);
    SSL_CTX_set_session_cache_mode(client_ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(client_ctx, on_session);
}

struct pair { SSL *server, *client; };

static struct pair pair_new(int version)
{
    struct pair p = { SSL_new(server_ctx), SSL_new(client_ctx) };
    BIO *a, *b;
    must(p.server && p.client && BIO_new_bio_pair(&a, 0, &b, 0), "connection");
    SSL_set_bio(p.server, a, a);
    SSL_set_bio(p.client, b, b);
    SSL_set_accept_state(p.server);
    SSL_set_connect_state(p.client);
    SSL_set_min_proto_version(p.client, version);
    SSL_set_max_proto_version(p.client, version);
    return p;
}

static void pair_shake(struct pair p)
{
    char byte;
    for (int i = 0; i < 20; i++) {
        SSL_do_handshake(p.client);
        SSL_do_handshake(p.server);
    }
    must(SSL_is_init_finished(p.client) && SSL_is_init_finished(p.server), "handshake");
    SSL_write(p.server, "x", 1);
    SSL_read(p.client, &byte, 1); /* takes TLS 1.3 tickets in */
}

static void pair_free(struct pair p)
{
    SSL_free(p.server);
    SSL_free(p.client);
}

static struct tlsinfo look(struct pair p)
{
    X509 *cert = SSL_get1_peer_certificate(p.server); /* as a broker's plugin gets it */
    struct tlsinfo i = tlsinfo_take(cert);
    X509_free(cert);
    return i;
}

static void test_versions(void)
{
    static const struct { int version; const char *name; } versions[] = { { TLS1_2_VERSION, "TLSv1.2 ECDHE-ECDSA-" }, { TLS1_3_VERSION, "TLSv1.3 TLS_" } };
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct pair p = pair_new(versions[i].version);
        pair_shake(p);
        struct tlsinfo t = look(p);
        ok(!strncmp(t.text, versions[i].name, strlen(versions[i].name)) && !t.resumed, "a full handshake: %s", t.text);
        ok(look(p).text[0] == 0, "a connection is found once");
        struct pair again = pair_new(versions[i].version);
        must(ticket && SSL_set_session(again.client, ticket), "ticket");
        pair_shake(again);
        t = look(again);
        ok(!strncmp(t.text, versions[i].name, strlen(versions[i].name)) && t.resumed, "a resumed one is known as such");
        pair_free(p);
        pair_free(again);
    }
}

/* Many connections wait: some have finished their handshake, some never begin one. */
static void test_many(void)
{
    enum { N = 600 };
    struct pair *all = mem_calloc(N, sizeof *all);
    int wrong = 0;
    for (int i = 0; i < N; i++) {
        all[i] = pair_new(i % 2 ? TLS1_3_VERSION : TLS1_2_VERSION);
        if (i % 3)
            pair_shake(all[i]);
    }
    ok(tlsinfo_waiting() == 2 * N, "every connection waits, clients' too (%zu)", tlsinfo_waiting());
    for (int k = 0; k < N; k++) {
        int i = (k * 7) % N;
        if (i % 3)
            wrong += strncmp(look(all[i]).text, i % 2 ? "TLSv1.3" : "TLSv1.2", 7) != 0;
    }
    ok(wrong == 0, "each of many is found, in any order");
    for (int i = 0; i < N; i++)
        pair_free(all[i]);
    ok(tlsinfo_waiting() == 0, "nothing is left of them");
    free(all);
}

static void test_odd(void)
{
    struct pair p = pair_new(TLS1_3_VERSION);
    ok(tlsinfo_take(NULL).text[0] == 0, "no certificate, nothing to say");
    SSL *copy = SSL_dup(p.server);
    ok(copy && tlsinfo_waiting() == 3, "a copied connection is one of its own");
    SSL_free(copy);
    pair_shake(p);
    ok(strstr(look(p).text, "TLSv1.3") != NULL, "and does not take the place of the other");
    pair_free(p);
    ok(tlsinfo_waiting() == 0, "nothing is left");
}

static void test_close(void)
{
    struct fault f;
    struct pair before = pair_new(TLS1_3_VERSION), found = pair_new(TLS1_3_VERSION);
    pair_shake(found);
    must(look(found).text[0] != 0, "found");
    tlsinfo_close();
    ok(tlsinfo_waiting() == 0, "closed, it has forgotten all");
    struct pair closed = pair_new(TLS1_2_VERSION);
    pair_shake(before);
    pair_shake(closed);
    ok(tlsinfo_waiting() == 0, "and is told nothing more");
    ok(tlsinfo_open(&f) == CE_OK, "it opens again");
    ok(look(before).text[0] == 0 && look(closed).text[0] == 0, "connections of before are not known");
    pair_free(before);
    pair_free(closed);
    pair_free(found);
    test_versions();
    tlsinfo_close();
    tlsinfo_close();
}

int main(void)
{
    struct fault f;
    contexts();
    struct pair early = pair_new(TLS1_3_VERSION);
    ok(tlsinfo_open(&f) == CE_OK && tlsinfo_open(&f) == CE_OK, "open");
    pair_shake(early);
    ok(look(early).text[0] == 0, "a connection made before is not known");
    pair_free(early);
    test_versions();
    test_many();
    test_odd();
    test_close();
    SSL_SESSION_free(ticket);
    SSL_CTX_free(server_ctx);
    SSL_CTX_free(client_ctx);
    return done();
}
