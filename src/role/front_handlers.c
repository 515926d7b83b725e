/* front_handlers.c: one handler for each row of route.def: where a request goes, how its message is made, how the reply looks.
 * A row without a handler does not compile.
 */
#include "role/front_priv.h"

#define HANDLER(name, ...) static const struct front_handler h_##name = { __VA_ARGS__ };
#define PAGE "after limit "

/* EST: front knows the CAs and the CSR attributes; what a device may have is core's decision */
#define EST(to, ...) to, .style = STYLE_EST, .proto = "est", __VA_ARGS__
#define CSR .media = "application/pkcs10", .reply = front_reply_enrolled, .pending = front_reply_pending
HANDLER(est_cacerts, EST(FRONT_SELF, .decode = front_cacerts))
HANDLER(est_csrattrs, EST(FRONT_SELF, .decode = front_csrattrs))
HANDLER(est_simpleenroll, EST(FRONT_CORE, .decode = front_enroll, CSR))
HANDLER(est_simplereenroll, EST(FRONT_CORE, .decode = front_reenroll, CSR))
HANDLER(est_serverkeygen, EST(FRONT_SELF, .decode = front_serverkeygen))
HANDLER(est_fullcmc, EST(FRONT_SELF, .decode = front_fullcmc))

HANDLER(cmp_post, FRONT_CORE, STYLE_CMP, "cmp", .media = "application/pkixcmp", .decode = front_cmp, .reply = front_reply_cmp,
        .pending = front_pending_cmp)

#define OCSP(...) FRONT_CORE, STYLE_OCSP, "ocsp", .reply = front_reply_ocsp, __VA_ARGS__
/* where keys live */
HANDLER(attest_begin, FRONT_CORE, .proto = "attest", .media = "application/json", .decode = front_attest_begin, .desc = &msg_desc_attest_begin, .reply = front_reply_attest)
HANDLER(attest_end, FRONT_CORE, .proto = "attest", .media = "application/json", .decode = front_json, .desc = &msg_desc_attest_end)

HANDLER(ocsp_post, OCSP(.media = "application/ocsp-request", .decode = front_ocsp_post))
HANDLER(ocsp_get, OCSP(.decode = front_ocsp_get))

/* lists and objects, from the query role */
#define QUERY(decode_, what_, filters_, ...) FRONT_QUERY, .proto = "rest", .decode = decode_, .what = what_, .filters = filters_, ##__VA_ARGS__
HANDLER(line_list, QUERY(front_query, "lines", PAGE))
HANDLER(ek_ca_list, QUERY(front_query, "ek_cas", PAGE, .param = "name"))
HANDLER(anchor_list, QUERY(front_query, "anchors", PAGE, .param = "name"))
HANDLER(policy_get, QUERY(front_query, "policy", ""))
HANDLER(key_list, QUERY(front_query, "keys", PAGE))
HANDLER(backend_list, QUERY(front_query, "backends", PAGE))
HANDLER(model_list, QUERY(front_query, "models", PAGE "line"))
HANDLER(device_list, QUERY(front_query, "devices", PAGE "line model batch country state tag key_home q"))
HANDLER(device_count, QUERY(front_query, "device_count", "line model batch country state tag version"))
HANDLER(device_get, QUERY(front_query, "device", "", .param = "uid"))
HANDLER(device_timeline, QUERY(front_query, "timeline", PAGE, .param = "uid"))
HANDLER(cert_list, QUERY(front_query, "certs", PAGE "device line state q"))
HANDLER(cert_get, QUERY(front_cert_query, "cert", "", .param = "serial"))
HANDLER(enrollment_list, QUERY(front_query, "enrollments", PAGE "line state device"))
HANDLER(enrollment_get, QUERY(front_enroll_query, "enrollment", ""))
HANDLER(mass_list, QUERY(front_query, "mass_jobs", PAGE))
HANDLER(mass_get, QUERY(front_mass_query, "mass_job", ""))
HANDLER(mass_refused, QUERY(front_mass_query, "mass_refused", PAGE))
HANDLER(operator_list, QUERY(front_query, "operators", PAGE))
HANDLER(drill_list, QUERY(front_query, "drills", PAGE "device"))
HANDLER(report_cuts, QUERY(front_query, "cuts", PAGE "device edge since"))
HANDLER(report_uncut, QUERY(front_query, "uncut", PAGE "device edge since"))
HANDLER(event_list, QUERY(front_query, "events", PAGE "device kind line"))
HANDLER(evidence_export, QUERY(front_query, "export", PAGE))
HANDLER(evidence_proof, QUERY(front_query, "proof", "index"))

HANDLER(tuf_list, QUERY(front_query, "tuf", ""))
HANDLER(crypto_get, QUERY(front_query, "crypto", ""))
HANDLER(crypto_devices, QUERY(front_query, "crypto_devices", PAGE "alg line"))
HANDLER(artifact_list, QUERY(front_query, "artifacts", PAGE))
HANDLER(release_list, QUERY(front_query, "releases", PAGE "line"))
HANDLER(release_get, QUERY(front_release, "release", ""))
HANDLER(release_devices, QUERY(front_release, "release_devices", PAGE "which"))
HANDLER(rollout_list, QUERY(front_query, "rollouts", PAGE "line"))
HANDLER(rollout_get, QUERY(front_query, "rollout", "", .param = "name"))
HANDLER(rollout_stream, QUERY(front_progress_open, "rollout", "", .param = "name", .reply = front_progress_begin))
HANDLER(rollout_devices, QUERY(front_query, "rollout_devices", PAGE "state", .param = "name"))
HANDLER(device_firmware, QUERY(front_query, "firmware", PAGE, .param = "uid"))
HANDLER(metadata_get, QUERY(front_metadata, "metadata", ""))

/* changes: a JSON body becomes the message of the same name */
#define CHANGE(proto_, decode_, ...) FRONT_CORE, .proto = proto_, .media = "application/json", .decode = decode_, __VA_ARGS__
#define JSON(message, ...) CHANGE("rest", front_json, .desc = &msg_desc_##message, __VA_ARGS__)
HANDLER(ca_list, FRONT_CORE, .proto = "rest", .decode = front_ca_list, .desc = &msg_desc_ca_list)
HANDLER(ca_get, FRONT_CORE, .proto = "rest", .decode = front_ca_list, .desc = &msg_desc_ca_list, .param = "name")
HANDLER(ca_add, JSON(ca_add, .reply = front_reply_created))
HANDLER(ca_set, JSON(ca_set, .param = "name"))
HANDLER(line_add, JSON(line_add, .reply = front_reply_created))
HANDLER(line_set, JSON(line_set, .param = "name"))
HANDLER(anchor_add, CHANGE("rest", front_anchor_add, .desc = &msg_desc_anchor_add, .param = "line", .reply = front_reply_created))
HANDLER(anchor_remove, CHANGE("rest", front_anchor_remove, .desc = &msg_desc_anchor_remove, .param = "line"))
HANDLER(anchor_crl, CHANGE("rest", front_anchor_crl, .desc = &msg_desc_anchor_crl, .param = "line"))
HANDLER(idevid_forget, JSON(idevid_forget, .param = "uid"))
HANDLER(key_block, JSON(key_block))
HANDLER(key_unblock, JSON(key_unblock))
HANDLER(backend_set, JSON(backend_set, .param = "name"))
HANDLER(model_add, JSON(model_add, .reply = front_reply_created))
HANDLER(device_add, JSON(device_add, .reply = front_reply_created, .location = "/api/v1/devices"))
HANDLER(device_state, JSON(device_state, .param = "uid"))
HANDLER(device_states, JSON(device_states))
HANDLER(device_tags, JSON(device_tags, .param = "uid"))
HANDLER(secret_add, JSON(secret_add, .param = "uid"))
HANDLER(device_ek, JSON(device_ek, .param = "uid"))
HANDLER(ek_ca_add, CHANGE("rest", front_ek_ca_add, .desc = &msg_desc_ek_ca, .param = "line"))
HANDLER(ek_ca_remove, CHANGE("rest", front_ek_ca_remove, .desc = &msg_desc_ek_ca, .param = "line"))
HANDLER(drill_add, JSON(drill_add, .reply = front_reply_created))
HANDLER(cert_revoke, JSON(cert_revoke, .param = "serial"))
#define MASS_MOVE CHANGE("rest", front_mass_move, .desc = &msg_desc_mass_move)
HANDLER(mass_add, JSON(mass_add, .reply = front_reply_created))
HANDLER(mass_confirm, MASS_MOVE)
HANDLER(mass_pause, MASS_MOVE)
HANDLER(mass_resume, MASS_MOVE)
HANDLER(mass_cancel, MASS_MOVE)
#define DECIDE CHANGE("rest", front_enroll_decide, .desc = &msg_desc_enroll_decide)
HANDLER(enrollment_approve, DECIDE)
HANDLER(enrollment_refuse, DECIDE)
HANDLER(operator_remove, JSON(operator_remove, .param = "name"))
HANDLER(operator_add, CHANGE("rest", front_operator_add, .desc = &msg_desc_operator_add, .reply = front_reply_operator))
HANDLER(tuf_put, CHANGE("rest", front_tuf_put, .reply = front_reply_tuf))
HANDLER(artifact_remove, CHANGE("rest", front_artifact_remove, .desc = &msg_desc_artifact_remove, .reply = front_reply_removed))
HANDLER(edge_report, CHANGE("edge", front_report, .reply = front_reply_report))

HANDLER(update_poll, FRONT_CORE, .proto = "update", .decode = front_poll, .reply = front_reply_poll)
HANDLER(update_directive, FRONT_CORE, .proto = "update", .decode = front_directive)
HANDLER(update_report, CHANGE("update", front_json, .desc = &msg_desc_update_report))
#define MOVE CHANGE("rest", front_rollout_move, .desc = &msg_desc_rollout_move, .param = "name")
HANDLER(rollout_add, CHANGE("rest", front_rollout_add, .desc = &msg_desc_rollout_add))
HANDLER(rollout_approve, MOVE)
HANDLER(rollout_start, MOVE)
HANDLER(rollout_pause, MOVE)
HANDLER(rollout_resume, MOVE)
HANDLER(rollout_cancel, MOVE)
HANDLER(rollout_rollback, MOVE)
HANDLER(device_order, JSON(device_order, .param = "uid"))
HANDLER(device_reset, JSON(device_reset, .param = "uid"))
HANDLER(artifact_get, FRONT_CORE, .proto = "update", .decode = front_download, .reply = front_reply_download)
HANDLER(blocks_get, FRONT_CORE, .proto = "update", .decode = front_download, .reply = front_reply_download, .what = ".blocks")
HANDLER(delta_get, FRONT_CORE, .proto = "update", .decode = front_delta, .reply = front_reply_delta)
HANDLER(key_get, FRONT_CORE, .proto = "update", .decode = front_key, .reply = front_reply_key)
HANDLER(token_get, FRONT_DEPOT, .proto = "update", .decode = front_token, .reply = front_reply_token)

/* uploads: the depot, and core when a file is whole */
#define UPLOAD(decode_, ...) FRONT_DEPOT, .proto = "rest", .decode = decode_, .reply = front_reply_upload, ##__VA_ARGS__
HANDLER(upload_open, UPLOAD(front_upload_open, .media = "application/json", .desc = &msg_desc_artifact_add))
HANDLER(upload_put, UPLOAD(front_upload_put))
HANDLER(upload_get, UPLOAD(front_upload_named, .desc = &msg_desc_upload_get))
HANDLER(upload_finish, UPLOAD(front_upload_named, .desc = &msg_desc_upload_finish))

/* hawkBit's DDI: what is to do now is asked of core first, then what the client told becomes a report */
#define DDI(decode_, reply_) FRONT_CORE, .proto = "ddi", .decode = decode_, .reply = reply_
#define DDI_BODY(decode_, reply_) DDI(decode_, reply_), .media = "application/json"
HANDLER(ddi_base, DDI(front_ddi_get, front_reply_ddi_base))
HANDLER(ddi_deployment, DDI(front_ddi_get, front_reply_ddi_deployment))
HANDLER(ddi_cancel, DDI(front_ddi_get, front_reply_ddi_cancel))
HANDLER(ddi_artifact, DDI(front_ddi_get, front_reply_ddi_artifact))
HANDLER(ddi_feedback, DDI_BODY(front_ddi_feedback, front_reply_ddi_feedback))
HANDLER(ddi_cancelled, DDI_BODY(front_ddi_feedback, front_reply_ddi_cancelled))
HANDLER(ddi_config, DDI_BODY(front_ddi_config, front_reply_ddi_config))

HANDLER(edge_stream, FRONT_CORE, .proto = "edge", .decode = front_stream_open, .reply = front_stream_begin)
HANDLER(status_get, FRONT_CORE, .proto = "rest", .decode = front_status)
HANDLER(metrics_get, FRONT_CORE, .proto = "rest", .decode = front_metrics, .reply = front_reply_metrics, .local = true)
HANDLER(health_get, FRONT_SELF, .proto = "rest", .decode = front_health)

#define ROUTE(m, p, h, r, b) &h_##h,
const struct front_handler *const front_handlers[] = {
#include "wire/route.def"
};
#undef ROUTE
