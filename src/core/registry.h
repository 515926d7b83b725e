/* registry.h: the operations on product lines, models, devices, operators and what edges report. Rows of core/ops.def; batch.h says
 * what an operation is. Rules of names: base/name.h. */
#ifndef CRADLE_CORE_REGISTRY_H
#define CRADLE_CORE_REGISTRY_H

#include "core/batch.h"
#include "core/device.h"

/* An answer's body: an object made with json_*, copied into the arena. */
void reply_json(struct batch *b, struct buf *out, struct msg_reply *reply);
#define HTTP_CREATED 201 /* reply->http of what did not exist before */

/* CE_EXISTS, CE_BAD_NAME, CE_BAD_FIELD (clone_policy), CE_TOO_LARGE (the brokers' policy). */
MUST_USE enum err registry_op_line_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* Settings and state of a line. CE_LINE_UNKNOWN, CE_BAD_FIELD (topics: the rule of MQTT), CE_STATE_CHANGE, CE_TOO_LARGE. */
MUST_USE enum err registry_op_line_set(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* The event of a setting of a line: begun, then what it is now, then ended. line_event_end returns CE_OK. */
struct json_out *line_event_begin(struct batch *b, enum event_kind kind, struct span line);
MUST_USE enum err line_event_end(struct batch *b, struct json_out *j, const struct caller *c, struct span note);
/* Tells a front (peer) all lines. Errors: of the database. */
MUST_USE enum err registry_lines_push(struct batch *b, int peer, struct fault *f);
/* Topics of a backend. CE_NOT_FOUND, CE_STATE_CHANGE (removed), CE_BAD_FIELD, CE_TOO_LARGE. */
MUST_USE enum err registry_op_backend_set(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* The same for one that is being added: its topics, checked by the caller, with their event. CE_TOO_LARGE. */
struct topics_row;
MUST_USE enum err backend_write(struct batch *b, const struct caller *c, const struct topics_row *t, struct span note, struct fault *f);
/* CE_LINE_UNKNOWN, CE_EXISTS, CE_BAD_NAME. */
MUST_USE enum err registry_op_model_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* CE_MODEL_UNKNOWN, CE_LINE_FORBIDDEN (a station beyond its lines), CE_EXISTS, CE_BAD_UID, CE_BAD_NAME, CE_BAD_FIELD (country). */
MUST_USE enum err registry_op_device_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* The row of a device, judged by the caller, with its event. CE_EXISTS (an operator has the name, or a device). */
struct device_row;
MUST_USE enum err device_register(struct batch *b, const struct device_row *row, struct fault *f);
/* CE_UID_UNKNOWN, CE_REV_MISMATCH (If-Match), CE_STATE_CHANGE, CE_BAD_FIELD, CE_SECOND_PERSON. Certificates follow: cert_block_device. */
MUST_USE enum err registry_op_device_state(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* Up to DEVICE_STATES_MAX (wire/msg.h) devices at once, in one batch: each is judged as alone; the answer says of each what became of it. CE_BAD_FIELD, CE_BAD_UID, CE_SECOND_PERSON. */
MUST_USE enum err registry_op_device_states(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* Labels of a device, by which rollouts and searches pick it. CE_UID_UNKNOWN, CE_REV_MISMATCH (If-Match), CE_BAD_NAME, CE_BAD_FIELD. */
MUST_USE enum err registry_op_device_tags(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* CE_NOT_FOUND, CE_OPERATOR_REMOVED, CE_SELF_REMOVE, CE_STATE_CHANGE (the last administrator). */
MUST_USE enum err operator_op_remove(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* What front refused by itself becomes evidence. */
MUST_USE enum err role_event_op(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
MUST_USE enum err refusal_op(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* Reports of an edge: each id is taken once. CE_BAD_FIELD. */
MUST_USE enum err edge_report_op(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
MUST_USE enum err front_counts_op(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
MUST_USE enum err metrics_op(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);


/* -- a change of state as an operator asks for it, of one device or of many ------------------------------------------------------ */
struct device_ask {
    enum device_state to;
    int reason;                    /* CRLReason */
    struct span reason_name, note; /* borrowed */
    int64_t if_match;              /* -1: any revision */
    int64_t job;                   /* the mass change that it belongs to; 0: none */
};
/* CE_BAD_FIELD, CE_BAD_NAME. if_match becomes -1, job 0. */
MUST_USE enum err device_ask_parse(struct span state, struct span reason, struct span note, struct device_ask *out, struct fault *f);
/* May c do this to the device? Fills d and writes nothing. CE_UID_UNKNOWN, CE_LINE_FORBIDDEN, CE_REV_MISMATCH, CE_STATE_CHANGE. */
MUST_USE enum err device_ask_judge(struct batch *b, const struct caller *c, const struct device_ask *ask, struct span uid, struct device *d,
                                   struct fault *f);
/* Does what was judged, with its events and effects. decided: "slot:nseq" of the device-state, in the arena. Errors: of the database. */
MUST_USE enum err device_ask_do(struct batch *b, const struct caller *c, const struct device_ask *ask, struct device *d, struct span *decided,
                                struct fault *f);

#endif
