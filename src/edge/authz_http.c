/* authz_http.c: one request of a proxy: /authz, or below it (Envoy puts the path of the request that it asks about behind), any method.
 * The answer is in the status and in X-Cradle-… headers; the body is empty, so that nothing leaks to the proxy's client.
 */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>

#include "base/mem.h"
#include "edge/authz.h"

#define PATH "/authz"

/* The one value of the header that carries the certificate. Twice: somebody put his own beside the proxy's. */
static enum err header_take(struct evhttp_request *req, const char *name, struct span *out, struct fault *f)
{
    const struct evkeyval *kv;
    bool found = false;
    *out = (struct span){ 0 };
    for (kv = evhttp_request_get_input_headers(req)->tqh_first; kv; kv = kv->next.tqe_next) {
        if (!span_eq_nocase(span_str(kv->key), name))
            continue;
        if (found)
            return fault_set(f, CE_BAD_CERT, "the header %s came twice: the proxy must overwrite the client's", name);
        found = true;
        *out = span_str(kv->value);
    }
    return CE_OK;
}

static void addr_take(struct evhttp_request *req, char out[AUTHZ_ADDR_MAX])
{
    const char *value = evhttp_find_header(evhttp_request_get_input_headers(req), "X-Real-IP");
    uint8_t raw[16];
    out[0] = 0;
    if (value && (inet_pton(AF_INET, value, raw) == 1 || inet_pton(AF_INET6, value, raw) == 1))
        snprintf(out, AUTHZ_ADDR_MAX, "%s", value);
}

static void answer_send(struct evhttp_request *req, const struct authz_answer *a)
{
    struct evkeyvalq *h = evhttp_request_get_output_headers(req);
    char serial[2 * ADMIT_SERIAL + 1] = "";
    int status = authz_status(a->err);
    for (size_t i = 0; i < a->peer.serial_n; i++)
        snprintf(serial + 2 * i, 3, "%02x", a->peer.serial[i]);
    evhttp_add_header(h, "Cache-Control", "no-store");
    if (a->err) {
        evhttp_add_header(h, "X-Cradle-Reason", err_reason(a->err));
        if (admit_state(a->err)[0])
            evhttp_add_header(h, "X-Cradle-State", admit_state(a->err));
    } else {
        evhttp_add_header(h, "X-Cradle-Uid", a->peer.uid);
        evhttp_add_header(h, "X-Cradle-Serial", serial);
        evhttp_add_header(h, "X-Cradle-Line", a->peer.line); /* empty too: it overwrites what the client said */
        evhttp_add_header(h, "X-Cradle-State", admit_state(a->err));
    }
    evhttp_send_reply(req, status, status == 200 ? "OK" : status == 403 ? "Forbidden" : "Service Unavailable", NULL);
}

static bool path_is_ours(struct span path) { return span_starts(path, PATH) && (path.n == sizeof PATH - 1 || path.p[sizeof PATH - 1] == '/'); }

void authz_http_request(struct evhttp_request *req, void *arg)
{
    struct authz *a = arg;
    struct authz_answer answer = { 0 };
    struct span target = span_str(evhttp_request_get_uri(req)), path, query, raw;
    char addr[AUTHZ_ADDR_MAX];
    const char *mark = memchr(target.p, '?', target.n);
    path = mark ? span_of(target.p, (size_t)((const uint8_t *)mark - target.p)) : target;
    query = mark ? span_of(path.p + path.n + 1, target.n - path.n - 1) : (struct span){ 0 };
    if (!path_is_ours(path)) {
        evhttp_send_reply(req, 404, "Not Found", NULL);
        return;
    }
    addr_take(req, addr);
    if (a->edge->cfg.authz_by_name) {
        authz_judge_names(a, query, addr, &answer);
    } else if (header_take(req, a->header, &raw, &answer.fault)) {
        answer.err = answer.fault.code;
        authz_told(a, &answer, addr);
    } else {
        authz_judge(a, a->form, raw, addr, &answer);
    }
    answer_send(req, &answer);
}
