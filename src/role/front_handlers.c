/* front_handlers.c: one handler for each row of route.def: where a request goes, how its message is made, how the reply looks.
 * A row without a handler does not compile.
 */
#include "role/front_priv.h"

#define EST .style = STYLE_EST, .proto = "est"
#define REST .proto = "rest"
#define JSON .to = FRONT_CORE, REST, .media = "application/json", .decode = front_json
#define PAGE "after limit "

static const struct front_handler h_est_cacerts = { FRONT_SELF, EST, .decode = front_cacerts };
static const struct front_handler h_est_csrattrs = { FRONT_SELF, EST, .decode = front_csrattrs };
static const struct front_handler h_est_simpleenroll = { FRONT_CORE, EST, .media = "application/pkcs10", .decode = front_enroll, .reply = front_reply_enrolled };
static const struct front_handler h_est_simplereenroll = { FRONT_CORE, EST, .media = "application/pkcs10", .decode = front_reenroll, .reply = front_reply_enrolled };
static const struct front_handler h_est_serverkeygen = { FRONT_SELF, EST, .decode = front_serverkeygen };

static const struct front_handler h_ocsp_post = { FRONT_CORE, STYLE_OCSP, "ocsp", .media = "application/ocsp-request", .decode = front_ocsp_post, .reply = front_reply_ocsp };
static const struct front_handler h_ocsp_get = { FRONT_CORE, STYLE_OCSP, "ocsp", .decode = front_ocsp_get, .reply = front_reply_ocsp };

static const struct front_handler h_line_list = { FRONT_QUERY, REST, .decode = front_query, .what = "lines", .filters = PAGE };
static const struct front_handler h_line_add = { JSON, .desc = &msg_desc_line_add, .reply = front_reply_created };
static const struct front_handler h_model_list = { FRONT_QUERY, REST, .decode = front_query, .what = "models", .filters = PAGE "line" };
static const struct front_handler h_model_add = { JSON, .desc = &msg_desc_model_add, .reply = front_reply_created };
static const struct front_handler h_device_list = { FRONT_QUERY, REST, .decode = front_query, .what = "devices", .filters = PAGE "line model batch state q" };
static const struct front_handler h_device_add = { JSON, .desc = &msg_desc_device_add, .reply = front_reply_created, .location = "/api/v1/devices" };
static const struct front_handler h_device_get = { FRONT_QUERY, REST, .decode = front_query, .what = "device", .param = "uid", .filters = "" };
static const struct front_handler h_device_state = { JSON, .desc = &msg_desc_device_state, .param = "uid" };
static const struct front_handler h_device_timeline = { FRONT_QUERY, REST, .decode = front_query, .what = "timeline", .param = "uid", .filters = PAGE };
static const struct front_handler h_cert_list = { FRONT_QUERY, REST, .decode = front_query, .what = "certs", .filters = PAGE "device line state q" };
static const struct front_handler h_cert_get = { FRONT_QUERY, REST, .decode = front_cert_query, .what = "cert", .param = "serial", .filters = "" };
static const struct front_handler h_cert_revoke = { JSON, .desc = &msg_desc_cert_revoke, .param = "serial" };
static const struct front_handler h_operator_list = { FRONT_QUERY, REST, .decode = front_query, .what = "operators", .filters = PAGE };
static const struct front_handler h_operator_add = { FRONT_CORE, REST, .media = "application/json", .decode = front_operator_add, .desc = &msg_desc_operator_add, .reply = front_reply_operator };
static const struct front_handler h_operator_remove = { JSON, .desc = &msg_desc_operator_remove, .param = "name" };

static const struct front_handler h_event_list = { FRONT_QUERY, REST, .decode = front_query, .what = "events", .filters = PAGE "device kind line" };
static const struct front_handler h_evidence_export = { FRONT_QUERY, REST, .decode = front_query, .what = "export", .filters = PAGE };
static const struct front_handler h_evidence_proof = { FRONT_QUERY, REST, .decode = front_query, .what = "proof", .filters = "index" };
static const struct front_handler h_status_get = { FRONT_CORE, REST, .decode = front_status };

static const struct front_handler h_edge_stream = { FRONT_CORE, .proto = "edge", .decode = front_stream_open, .reply = front_stream_begin };
static const struct front_handler h_edge_report = { FRONT_CORE, .proto = "edge", .media = "application/json", .decode = front_report, .reply = front_reply_report };

static const struct front_handler h_health_get = { FRONT_SELF, REST, .decode = front_health };
static const struct front_handler h_metrics_get = { FRONT_CORE, REST, .decode = front_metrics, .reply = front_reply_metrics, .local = true };

#define ROUTE(m, p, h, r, b) &h_##h,
const struct front_handler *const front_handlers[] = {
#include "wire/route.def"
};
#undef ROUTE
