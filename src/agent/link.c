/* link.c: see link.h. The SSL_CTX is ours (not libmosquitto's), so that keys which are not files work the same way, and so that
 * resumption is off: a resumed session would skip the broker's look at the certificate. */
#include "agent/link.h"

#include <errno.h>
#include <mosquitto.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/trust.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define LINK_CONNECT_LIMIT_MS 15000

struct link {
    struct mosquitto *mosq;
    SSL_CTX *tls;
    struct link_config cfg;
    enum link_state state;
    int64_t began_ms;
    char why[128];
};

static void link_down(struct link *l, enum link_state state, const char *why)
{
    l->state = state;
    snprintf(l->why, sizeof l->why, "%s", why);
}

static void on_connect(struct mosquitto *mosq, void *arg, int rc)
{
    struct link *l = arg;
    char topic[PATH_MAX_LEN];
    if (rc) {
        link_down(l, rc == 4 || rc == 5 ? LINK_REFUSED : LINK_DOWN, mosquitto_connack_string(rc));
        return;
    }
    l->state = LINK_UP;
    path_join(topic, "d/%s/down/#", l->cfg.agent->uid);
    mosquitto_subscribe(mosq, NULL, topic, 1);
}

static void on_disconnect(struct mosquitto *mosq, void *arg, int rc)
{
    struct link *l = arg;
    (void)mosq;
    if (l->state == LINK_UP || l->state == LINK_WAITING)
        link_down(l, LINK_DOWN, rc ? mosquitto_strerror(rc) : "disconnected");
}

static void on_message(struct mosquitto *mosq, void *arg, const struct mosquitto_message *m)
{
    struct link *l = arg;
    (void)mosq;
    if (m->payloadlen >= 0)
        l->cfg.on_message(l->cfg.arg, m->topic, span_of(m->payload, (size_t)m->payloadlen));
}

static enum err tls_make(struct link *l, struct fault *f)
{
    const struct agent_config *a = l->cfg.agent;
    char roots[PATH_MAX_LEN];
    SSL_CTX *tls = l->tls = SSL_CTX_new(TLS_client_method());
    if (!tls || SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1)
        return fault_set(f, CE_CRYPTO, "cannot set up TLS");
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(tls, SSL_OP_NO_TICKET);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    trust_path(a, roots);
    if (SSL_CTX_load_verify_locations(tls, roots, NULL) != 1)
        return fault_set(f, CE_BAD_CONFIG, "%s holds no usable certificates", roots);
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(tls);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, a->broker_host) != 1 && X509_VERIFY_PARAM_set1_host(param, a->broker_host, 0) != 1)
        return fault_set(f, CE_BAD_CONFIG, "broker_host %s is not a name", a->broker_host);
    if (SSL_CTX_use_certificate_chain_file(tls, l->cfg.cert_path) != 1 || SSL_CTX_use_PrivateKey(tls, l->cfg.key) != 1 ||
        SSL_CTX_check_private_key(tls) != 1)
        return fault_set(f, CE_BAD_CERT, "%s and the device's key do not belong together", l->cfg.cert_path);
    return CE_OK;
}

static enum err mqtt_begin(struct link *l, struct fault *f)
{
    const struct agent_config *a = l->cfg.agent;
    l->mosq = mosquitto_new(a->uid, true, l);
    if (!l->mosq)
        return fault_set(f, CE_IO, "libmosquitto: %s", strerror(errno));
    mosquitto_connect_callback_set(l->mosq, on_connect);
    mosquitto_disconnect_callback_set(l->mosq, on_disconnect);
    mosquitto_message_callback_set(l->mosq, on_message);
    mosquitto_int_option(l->mosq, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
    mosquitto_void_option(l->mosq, MOSQ_OPT_SSL_CTX, l->tls);
    mosquitto_int_option(l->mosq, MOSQ_OPT_TCP_NODELAY, 1);
    int rc = mosquitto_connect(l->mosq, a->broker_host, (int)a->broker_port, (int)a->keepalive_s);
    if (rc)
        return fault_set(f, CE_IO, "broker %s:%lld: %s", a->broker_host, (long long)a->broker_port,
                         rc == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(rc));
    l->state = LINK_WAITING;
    l->began_ms = clock_mono_ms();
    return CE_OK;
}

enum err link_open(const struct link_config *cfg, struct link **out, struct fault *f)
{
    struct link *l = mem_calloc(1, sizeof *l);
    mosquitto_lib_init(); /* after the first time it only counts */
    l->cfg = *cfg;
    enum err e = tls_make(l, f);
    if (!e)
        e = mqtt_begin(l, f);
    if (e) {
        link_close(l);
        return e;
    }
    *out = l;
    return CE_OK;
}

void link_close(struct link *l)
{
    if (!l)
        return;
    if (l->mosq) {
        if (l->state == LINK_UP)
            mosquitto_disconnect(l->mosq);
        mosquitto_destroy(l->mosq);
    }
    SSL_CTX_free(l->tls);
    free(l);
}

int link_fd(const struct link *l) { return mosquitto_socket(l->mosq); }
bool link_wants_write(const struct link *l) { return mosquitto_want_write(l->mosq); }

void link_work(struct link *l, bool readable, bool writable)
{
    int rc = MOSQ_ERR_SUCCESS;
    if (l->state != LINK_UP && l->state != LINK_WAITING)
        return;
    if (readable)
        rc = mosquitto_loop_read(l->mosq, 16);
    if (!rc && (writable || mosquitto_want_write(l->mosq)))
        rc = mosquitto_loop_write(l->mosq, 16);
    if (!rc)
        rc = mosquitto_loop_misc(l->mosq);
    if (rc && (l->state == LINK_UP || l->state == LINK_WAITING))
        link_down(l, LINK_DOWN, rc == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(rc));
    if (l->state == LINK_WAITING && clock_mono_ms() - l->began_ms > LINK_CONNECT_LIMIT_MS)
        link_down(l, LINK_DOWN, "the broker did not answer in time");
}

enum link_state link_state(const struct link *l) { return l->state; }
const char *link_why(const struct link *l) { return l->why; }

enum err link_publish(struct link *l, const char *topic, struct span payload)
{
    if (l->state != LINK_UP)
        return CE_ROLE_GONE;
    return mosquitto_publish(l->mosq, NULL, topic, (int)payload.n, payload.p, 1, false) ? CE_IO : CE_OK;
}
