/* https_hold.c: memory of idle HTTPS connections: opens COUNT connections with a client certificate, makes one request on each, keeps them
 * and prints what the processes PID … grew by. usage: https_hold PORT CA CERT KEY PATH COUNT PID …   Prints one line of JSON.
 */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "https_hold: %s\n", what);
    exit(1);
}

static long rss_kib(char **pids, int n)
{
    long sum = 0, kib;
    char path[64], line[128];
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "/proc/%s/status", pids[i]);
        FILE *f = fopen(path, "r");
        if (!f)
            die("a process is gone");
        while (fgets(line, sizeof line, f))
            if (sscanf(line, "VmRSS: %ld", &kib) == 1)
                sum += kib;
        fclose(f);
    }
    return sum;
}

static SSL_CTX *tls_make(char **argv)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (!SSL_CTX_load_verify_locations(tls, argv[2], NULL) || SSL_CTX_use_certificate_chain_file(tls, argv[3]) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, argv[4], SSL_FILETYPE_PEM) != 1)
        die("the CA, certificate or key cannot be read");
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    return tls;
}

static SSL *connection_open(SSL_CTX *tls, int port, const char *path)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char text[8192];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SSL *ssl = SSL_new(tls);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) || !SSL_set_fd(ssl, fd) || SSL_connect(ssl) != 1)
        die("a connection is refused");
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    if (SSL_write(ssl, text, n) != n || SSL_read(ssl, text, sizeof text) < 12 || memcmp(text, "HTTP/1.1 200", 12) != 0)
        die("a request was not answered with 200");
    return ssl;
}

int main(int argc, char **argv)
{
    if (argc < 8)
        die("usage: https_hold PORT CA CERT KEY PATH COUNT PID ...");
    int count = atoi(argv[6]), first = count / 10;
    struct rlimit lim;
    getrlimit(RLIMIT_NOFILE, &lim);
    lim.rlim_cur = lim.rlim_max;
    setrlimit(RLIMIT_NOFILE, &lim);
    SSL_CTX *tls = tls_make(argv);
    long before = 0;
    for (int i = 0; i < count + first; i++) {
        if (i == first) /* what the first ones cost once */
            before = rss_kib(argv + 7, argc - 7);
        (void)connection_open(tls, atoi(argv[1]), argv[5]);
    }
    usleep(200000);
    printf("{\"bench\":\"https_hold\",\"connections\":%d,\"kib_per_connection\":%.2f}\n", count,
           (double)(rss_kib(argv + 7, argc - 7) - before) / count);
    return 0;
}
