/* front.h: the role that speaks HTTP to nginx over a Unix socket: EST, OCSP, REST, edge streams.
 * It decodes what strangers send, knows who may use which route from what core pushed, and forwards structs. It decides
 * nothing about devices and holds no key, no database and, after start, no file.
 *
 * struct front is the whole role without its process, so that a test can run it on an event loop of its own and play core and
 * query at the other ends of the socketpairs. role_front_main (role.h) puts it into a process and a jail.
 */
#ifndef CRADLE_ROLE_FRONT_H
#define CRADLE_ROLE_FRONT_H

#include "base/span.h"
#include "role/role.h"

struct front;

struct front_config {
    struct event_base *base; /* borrowed, outlives the front */
    const char *site;        /* the site's folder; ca/ and profiles/ are read by front_new only */
    int listen_fd;           /* listening, non-blocking Unix socket; becomes the front's */
    unsigned index;          /* number of this front, a label in its metrics */
    int64_t request_ms;      /* absolute bound for a request to arrive and, again, for its answer */
    int64_t open_max;        /* open requests; above it 503 busy with Retry-After */
    int64_t streams_max;     /* edge streams; above it 503 */
    int64_t beat_ms;         /* silence on a stream of a rollout before it says that it is there; 0: 15000 */
    const char *https_url;   /* of this service, for links in answers; borrowed */
    int64_t ocsp_ms;         /* how long an OCSP answer may be given again */
    int64_t download_rate, download_total; /* bytes/s: of one download, of all; 0: no limit */
    bool csrattrs_template;  /* EST /csrattrs: the template of RFC 9908 too */
    bool ddi_tokens;         /* hawkBit clients get links that need no certificate */
    bool require_rev;        /* PATCH and DELETE without If-Match: 428 rev-required */
};

/* Reads what it needs and listens. CE_IO, CE_BAD_CERT, CE_BAD_CONFIG: f names the file. Caller: front_free. */
MUST_USE enum err front_new(const struct front_config *config, struct front **out, struct fault *f);
void front_free(struct front *fr); /* NULL is legal */
/* A new end to core or query. One already open to the same (role, index) is dropped first and its requests get 503. */
void front_peer(struct front *fr, const struct role_peer *p);
/* Shutting down: new requests get 503 draining, streams end, open requests are answered. */
void front_drain(struct front *fr);
size_t front_open(const struct front *fr); /* requests and streams open now */

/* The listening socket DIR/run/front-INDEX.sock, mode 0600; one left from before is replaced. */
MUST_USE enum err front_listen(const char *site, unsigned index, int *fd, struct fault *f);

#endif
