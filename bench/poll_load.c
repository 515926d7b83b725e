/* poll_load.c: a load client over kept-alive mutual TLS (mtls_load.h) that asks PATH COUNT times and prints one line of JSON. An answer other than 200 counts as
 * failed.
 * usage: poll_load HOST PORT PATH CA CERT KEY COUNT CONNECTIONS   "%d" in PATH: the number of the request
 */
#include "bench/mtls_load.h"

static const char *path;

static int poll_ask(struct mtls_load *l, int number, char *out, size_t cap)
{
    const char *at = strstr(path, "%d");
    return at ? snprintf(out, cap, "GET %.*s%d%s HTTP/1.1\r\nHost: %s\r\n\r\n", (int)(at - path), path, number, at + 2, l->host)
              : snprintf(out, cap, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, l->host);
}

static bool poll_good(struct mtls_load *l, int number, int status, const char *body, size_t n)
{
    (void)l, (void)number, (void)body, (void)n;
    return status == 200;
}

int main(int argc, char **argv)
{
    int nconns = argc == 9 ? atoi(argv[8]) : 0;
    if (nconns < 1 || atoi(argv[7]) < nconns) {
        fprintf(stderr, "usage: poll_load HOST PORT PATH CA CERT KEY COUNT CONNECTIONS\n");
        return 2;
    }
    path = argv[3];
    struct mtls_load l = {.host = argv[1], .port = argv[2], .ask = poll_ask, .good = poll_good, .count = atoi(argv[7])};
    load_run(&l, "poll_load", argv[4], argv[5], argv[6], nconns);
    return l.failed != 0;
}
