/* Every route with every role, over HTTP through the real front: who is let through is exactly what route.def says. */
#include "t/unit/front_harness.h"

static const struct {
    const char *cert;
    const char *verify;
    unsigned bit;
    int status;
} callers[] = {
    {NULL, NULL, R_PUBLIC, 401},
    {"admin", NULL, R_ADMIN, 403},
    {"operator", NULL, R_OPERATOR, 403},
    {"station", NULL, R_STATION, 403},
    {"auditor", NULL, R_AUDITOR, 403},
    {"edge", NULL, R_EDGE, 403},
    {"backend", NULL, R_BACKEND, 403},
    {"dev-1", NULL, R_DEVICE, 403},
    {"nobody", NULL, 0, 401},
    {"foreign", "FAILED:unable to verify the first certificate", 0, 401},
    {"admin", "FAILED:certificate has expired", 0, 401},
};

static void path_fill(const char *template, char *out, size_t max)
{
    size_t n = 0;
    for (const char *p = template; *p && n + 8 < max; p++)
        if (*p == '{') {
            n += (size_t)snprintf(out + n, max - n,
                                  strncmp(p, "{serial", 7) == 0    ? "0a1b"
                                  : strncmp(p, "{request", 8) == 0 ? "MAA="
                                                                   : "x1");
            p = strchr(p, '}');
        } else {
            out[n++] = *p;
        }
    out[n] = 0;
}

static void try(const struct route *r, size_t who)
{
    char path[256];
    path_fill(r->path, path, sizeof path);
    if (strcmp(r->name, "edge_stream") == 0)
        snprintf(path, sizeof path, "/edge/v1/stream?bad=1"); /* let through, but never endless */
    struct resp a = request_as(r->method_name, path, callers[who].cert, callers[who].verify, NULL, span_str(""));
    bool allowed = (r->roles & R_PUBLIC) || (r->roles & callers[who].bit);
    bool refused = a.status == 401 || (a.status == 403 && has(&a, "X-Cradle-Reason: role-forbidden"));
    ok(a.status != 0 && refused == !allowed && (allowed || a.status == callers[who].status), "%s %s as %s%s: %d %s",
       r->method_name, r->path, callers[who].cert ? callers[who].cert : "nobody at all",
       callers[who].verify ? " (not verified)" : "", a.status, allowed ? "let through" : "refused");
    resp_free(&a);
}

int main(void)
{
    if (harness_start() != 0) {
        ok(false, "the front starts");
        return done();
    }
    ok(wait_tell("open", "0"), "the front is up");
    for (size_t i = 0; i < 250; i++) { /* core's pushes have arrived */
        struct resp r = request("GET", "/healthz", NULL, NULL, NULL);
        bool ready = r.status == 200;
        resp_free(&r);
        if (ready)
            break;
        usleep(20000);
    }
    for (size_t r = 0; r < route_count; r++)
        for (size_t who = 0; who < ARRAY_LEN(callers); who++)
            try(&route_table[r], who);
    ok(harness_stop() == 0, "the front ends cleanly");
    return done();
}
