/* own-server.c: a TLS server of one's own that lets in nobody who is revoked. It asks before every request, so a revocation also ends
 * sessions that are open, and resumed ones. cc own-server.c $(pkg-config --cflags --libs cradle-edge openssl)
 * usage: own-server PORT STATE_DIR STREAM_PUB DEVICE_CA CLIENT_CA_BUNDLE SERVER_PEM
 */
#include <cradle/edge.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

static int let_in(struct cradle_edge *edge, SSL *tls, struct cradle_edge_verdict *v)
{
    unsigned char *der = NULL;
    X509 *cert = SSL_get0_peer_certificate(tls);
    int n = cert ? i2d_X509(cert, &der) : 0;
    enum cradle_edge_answer answer = cradle_edge_check(edge, der, n > 0 ? (size_t)n : 0, v);
    OPENSSL_free(der);
    return answer == CRADLE_EDGE_ADMIT; /* CRADLE_EDGE_STALE: nobody can say, so nobody comes in */
}

int main(int argc, char **argv)
{
    char why[CRADLE_EDGE_TEXT], line[512];
    struct cradle_edge_verdict v;
    struct cradle_edge *edge;
    if (argc != 7)
        return 2;
    struct cradle_edge_options options = { .dir = argv[2], .stream_pub = argv[3], .cas = (const char *const[]){ argv[4] }, .n_cas = 1 };
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_load_verify_file(ctx, argv[5]);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"own", 3);
    if (cradle_edge_open(&options, &edge, why))
        return fprintf(stderr, "own-server: %s\n", why), 1;
    if (SSL_CTX_use_certificate_chain_file(ctx, argv[6]) != 1 || SSL_CTX_use_PrivateKey_file(ctx, argv[6], SSL_FILETYPE_PEM) != 1)
        return fprintf(stderr, "own-server: %s: no certificate and key\n", argv[6]), 1;
    BIO *door = BIO_new_accept(argv[1]);
    while (door && BIO_do_accept(door) > 0) { /* one client at a time: this is about who, not about how many */
        SSL *tls = SSL_new(ctx);
        BIO *client = BIO_pop(door);
        SSL_set_bio(tls, client, client);
        if (SSL_accept(tls) == 1)
            for (int n; (n = SSL_read(tls, line, sizeof line - 1)) > 0;) { /* a request is what one read brings */
                int good = let_in(edge, tls, &v);
                n = snprintf(line, sizeof line, "%s %s: %s\n", good ? "hello" : "no", v.uid, v.reason);
                SSL_write(tls, line, n);
                if (!good)
                    break;
            }
        SSL_shutdown(tls);
        SSL_free(tls);
    }
    return 0;
}
