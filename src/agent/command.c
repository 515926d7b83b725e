/* command.c: what a backend may ask of a device on d/UID/down/cmd: {"cmd":"report"|"reset","id":"…"}. The broker's plugin lets only
 * authorised backends publish there. Decoding is wire's; anything else is refused with an answer. See run.h. */
#include <jansson.h>

#include "agent/enroll.h"
#include "agent/run.h"
#include "agent/trust.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/msg.h"

void command_report(struct agent *a, struct span id, struct buf *out)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(16384);
    struct cradle_cert cert;
    struct fault f;
    struct json_out j = JSON_OUT(out);
    json_obj(&j, NULL);
    if (id.n)
        json_str(&j, "id", id);
    json_cstr(&j, "uid", a->cfg.uid);
    json_cstr(&j, "agent", CRADLE_VERSION);
    json_int(&j, "uptime_s", (clock_mono_ms() - a->started_ms) / 1000);
    json_int(&j, "published", (int64_t)a->published);
    json_int(&j, "dropped", (int64_t)a->outbox.dropped);
    if (enroll_cert_load(&a->creds, CREDS_CURRENT, &der, &cert, &f) == CE_OK) {
        json_hex(&j, "serial", span_of(cert.serial, cert.serial_len));
        json_time_s(&j, "not_after", cert.not_after_s);
        json_time_s(&j, "renew_at", cradle_renew_at_s(&cert, (int)a->cfg.renew_at_pct, a->cfg.uid));
    }
    trust_json(&a->cfg, &j);
    json_obj_end(&j);
}

static void answer(struct agent *a, struct span id, const char *result, const char *text)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(1024);
    struct json_out j = JSON_OUT(&b);
    json_obj(&j, NULL);
    if (id.n)
        json_str(&j, "id", id);
    json_cstr(&j, "result", result);
    if (*text)
        json_cstr(&j, "detail", text);
    json_obj_end(&j);
    agent_publish(a, "answer", buf_span(&b));
}

void command_take(struct agent *a, const char *topic, struct span payload)
{
    char want[PATH_MAX_LEN];
    struct fault f = { 0 };
    CLEANUP(json_decref_p) json_t *root = NULL;
    path_join(want, "d/%s/down/cmd", a->cfg.uid);
    if (strcmp(topic, want) != 0)
        return;
    if (payload.n > 4096 || json_parse(payload, &root, &f) || !json_is_object(root)) {
        answer(a, span_of(NULL, 0), "refused", *f.text ? f.text : "a command is a JSON object of at most 4096 bytes");
        return;
    }
    const char *cmd = json_string_value(json_object_get(root, "cmd")), *id_text = json_string_value(json_object_get(root, "id"));
    struct span id = span_str(id_text);
    if (id.n > 64)
        id.n = 0;
    log_info(0, "command %s", cmd ? cmd : "(none)");
    if (cmd && strcmp(cmd, "report") == 0) {
        CLEANUP(buf_free) struct buf b = BUF_INIT(8192);
        command_report(a, id, &b);
        agent_publish(a, "report", buf_span(&b));
    } else if (cmd && strcmp(cmd, "reset") == 0) {
        answer(a, id, "accepted", "resetting");
        a->restart = true;
    } else {
        answer(a, id, "refused", "unknown command; there are report and reset");
    }
}
