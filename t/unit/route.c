/* The route table itself: search, decoding, methods. Every route with every role over HTTP is front_routes.c. */
#include "wire/route.h"

#include "t/tap.h"

static struct arena arena;

static enum err find(const char *method, const char *path, struct route_match *m)
{
    struct fault f = {0};
    return route_find(span_str(method), span_str(path), &arena, m, &f);
}

static void fill(const char *template, char *out, size_t max)
{
    size_t n = 0;
    for (const char *p = template; *p && n + 8 < max; p++)
        if (*p == '{') {
            n += (size_t)snprintf(out + n, max - n, "x1");
            p = strchr(p, '}');
        } else {
            out[n++] = *p;
        }
    out[n] = 0;
}

int main(void)
{
    struct route_match m;
    char path[256];
    for (size_t i = 0; i < route_count; i++) {
        const struct route *r = &route_table[i];
        fill(r->path, path, sizeof path);
        ok(find(r->method_name, path, &m) == CE_OK && m.route == r && m.index == i, "%s %s is found",
           r->method_name, r->path);
        ok(r->roles != 0 && (!(r->roles & R_PUBLIC) || r->roles == R_PUBLIC), "%s %s: public or for roles, not both",
           r->method_name, r->path);
    }
    ok(find("GET", "/api/v1/devices/a%3Ab", &m) == CE_OK && span_eq_str(m.params[0], "a:b"), "a parameter is percent-decoded");
    ok(find("GET", "/api/v1/devices/a%253Ab", &m) == CE_OK && span_eq_str(m.params[0], "a%3Ab"), "exactly once");
    ok(find("GET", "/api/v1/devices/%2e%2e", &m) == CE_OK && span_eq_str(m.params[0], ".."), "dots are data, not a way up");
    ok(find("GET", "/api/v1/devices/a%2Fb", &m) == CE_OK && span_eq_str(m.params[0], "a/b"), "an encoded slash does not make a segment");
    static const char *const bad[] = {"/api/v1/devices/%",   "/api/v1/devices/%4",  "/api/v1/devices/%zz",   "/api/v1/devices/a%00b",
                                      "/api/v1/devices/%0a", "/api/v1/devices/%ff", "/api/v1/devices/%c0%af"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ok(find("GET", bad[i], &m) == CE_BAD_INPUT, "%s is refused", bad[i]);
    static const char *const none[] = {"/",
                                       "",
                                       "/api",
                                       "/api/v1/devices/",
                                       "/api/v1//devices",
                                       "/api/v1/devices/a/b",
                                       "//api/v1/devices",
                                       "/API/v1/devices",
                                       "/api/v1/../v1/devices",
                                       "/.well-known/est",
                                       "/ocsp/",
                                       "/api/v1/%64evices",
                                       "/edge/v1/stream/"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        ok(find("GET", none[i], &m) == CE_NO_ROUTE, "'%s' is no route", none[i]);
    ok(find("GET", "/ocsp/MEIw/QD+A=%3D", &m) == CE_OK && span_eq_str(m.params[0], "MEIw/QD+A=="), "an OCSP request may hold slashes");
    ok(find("DELETE", "/api/v1/devices/a", &m) == CE_METHOD && m.route, "a wrong method is told apart from a wrong path");
    CLEANUP(buf_free) struct buf allow = BUF_INIT(0);
    route_allow(m.route, &allow);
    ok(span_eq_str(buf_span(&allow), "GET, PATCH"), "Allow lists the methods of the path");
    ok(find("get", "/api/v1/devices", &m) == CE_METHOD, "methods are case-sensitive");
    ok(route_role_bit(SPAN_LIT("admin")) == R_ADMIN && route_role_bit(SPAN_LIT("edge")) == R_EDGE, "roles have bits");
    ok(route_role_bit(SPAN_LIT("device")) == 0 && route_role_bit(SPAN_LIT("public")) == 0 && route_role_bit(SPAN_LIT("Admin")) == 0,
       "an identity cannot be given what is no role");
    arena_free(&arena);
    return done();
}
