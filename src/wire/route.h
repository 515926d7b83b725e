/* route.h: the table of HTTP routes (route.def) and the search in it. Pure: text in, row out; no handlers, no I/O.
 * Front keeps its handlers in an array made from the same rows, so an index is valid in both.
 */
#ifndef CRADLE_WIRE_ROUTE_H
#define CRADLE_WIRE_ROUTE_H

#include "base/mem.h"
#include "base/span.h"

enum route_method { ROUTE_GET, ROUTE_POST, ROUTE_PUT, ROUTE_PATCH, ROUTE_DELETE };

/* Bits of the mask of roles in route.def. R_PUBLIC: no certificate needed. The last two are no roles of the register, but what a certificate is good for. */
enum route_role {
    R_ADMIN = 1, R_OPERATOR = 2, R_STATION = 4, R_AUDITOR = 8, R_EDGE = 16, R_DEVICE = 32, R_PUBLIC = 64, R_BACKEND = 128,
    R_IDEVID = 256,  /* an initial device identity: enrolls */
    R_EXPIRED = 512, /* a device whose certificate has ended: renews within its line's grace */
    R_SECRET = 1024, /* core only: a device known by its one-time secret */
};

struct route {
    enum route_method method;
    const char *method_name; /* "GET" */
    const char *path;    /* template: "/a/{name}"; a last "{name*}" takes the rest of the path, slashes included */
    const char *name;    /* of the handler */
    unsigned roles;      /* of R_* */
    size_t body_max;     /* bytes; 0: takes no body */
};

extern const struct route route_table[];
extern const size_t route_count;

#define ROUTE_PARAMS 4 /* at most this many parameters in a template */

struct route_match {
    size_t index;                       /* in route_table */
    const struct route *route;
    struct span params[ROUTE_PARAMS];   /* percent-decoded exactly once; in the arena */
    size_t nparams;
};

/* path: the raw request path without the query, RFC 3986 3.3. Parameters come out decoded, never empty, valid UTF-8 without
 * control bytes. CE_BAD_INPUT: bad percent-encoding or such bytes; CE_NO_ROUTE; CE_METHOD (out->route is then a row of the
 * same path, for its Allow header). */
MUST_USE enum err route_find(struct span method, struct span path, struct arena *a, struct route_match *out, struct fault *f);
/* "GET, POST": methods of every row with the same template, for Allow (RFC 9110 10.2.1). */
void route_allow(const struct route *r, struct buf *out);

unsigned route_role_bit(struct span role); /* "admin" -> R_ADMIN; 0 for an unknown name, "device" and "public" included */

#endif
