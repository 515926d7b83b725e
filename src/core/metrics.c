/* metrics.c: what the core says about itself: Prometheus text (exposition format 0.0.4) and the status JSON. Counters are since the
 * start of the process. It reads memory and the few rows of edges, never a large table. */
#include "base/clock.h"
#include "core/engine.h"
#include "core/front_counts.h"
#include "core/presence.h"
#include "core/registry.h"
#include "core/status.h"
#include "store/edge.h"

struct metric {
    const char *name, *type, *help;
    size_t offset;      /* in struct core_stats */
};
#define M(name, type, field, help) { name, type, help, offsetof(struct core_stats, field) }
static const struct metric metrics[] = {
    M("cradle_requests_total", "counter", requests, "requests that reached the core"),
    M("cradle_batches_total", "counter", batches, "committed batches"),
    M("cradle_batches_failed_total", "counter", batches_failed, "batches that the database did not take"),
    M("cradle_events_total", "counter", events, "evidence events written"),
    M("cradle_certs_issued_device_total", "counter", issued_device, "device certificates issued"),
    M("cradle_certs_issued_infra_total", "counter", issued_infra, "certificates issued to operators, stations and edges"),
    M("cradle_certs_renewed_total", "counter", renewed, "issued certificates that were renewals"),
    M("cradle_certs_grace_total", "counter", graces, "renewals of certificates that had ended, within the grace of their line"),
    M("cradle_idevid_enrollments_total", "counter", idevid_enrolls, "enrollments that were authenticated by an initial device identity (IDevID)"),
    M("cradle_idevids_by_device_ca_total", "counter", idevids_by_device_ca, "initial device identities (IDevIDs) that a CA for devices issued, as there is none of their own"),
    M("cradle_idevid_stale_crl_total", "counter", idevid_stale_crl, "IDevIDs that were judged by a revocation list of their maker that is not good any more"),
    M("cradle_cert_orphans_total", "counter", orphans, "intents without a certificate, closed"),
    M("cradle_certs_revoked_total", "counter", revoked_certs, "certificates revoked or put on hold"),
    M("cradle_devices_blocked_total", "counter", blocked_devices, "devices revoked, suspended or decommissioned"),
    M("cradle_ocsp_answers_total", "counter", ocsp_answers, "OCSP answers signed"),
    M("cradle_crls_published_total", "counter", crl_published, "CRL shards published"),
    M("cradle_stream_frames_total", "counter", frames, "frames of the revocation stream pushed"),
    M("cradle_signer_requests_total", "counter", signer_asked, "requests sent to the signer"),
    M("cradle_signer_failures_total", "counter", signer_failed, "requests that the signer failed or did not answer"),
    M("cradle_update_polls_total", "counter", polls, "polls for updates that reached the core; others were answered by the fronts from memory"),
    M("cradle_update_reports_total", "counter", reports, "reports of devices about updates that were taken"),
    M("cradle_queue_depth", "gauge", queue_depth, "requests waiting for a batch"),
    M("cradle_signer_waiting", "gauge", signer_waiting, "requests at the signer"),
    M("cradle_stream_certs", "gauge", stream_certs, "certificates in the revocation snapshot"),
    M("cradle_stream_identities", "gauge", stream_idents, "identities in the revocation snapshot"),
    M("cradle_stream_lines", "gauge", stream_lines, "suspended lines in the revocation snapshot"),
    M("cradle_stream_quarantined", "gauge", stream_repair, "quarantined identities in the revocation snapshot"),
    M("cradle_log_size", "gauge", log_size, "leaves in the evidence log"),
    M("cradle_log_published_size", "gauge", log_published, "leaves covered by the published checkpoint"),
    M("cradle_clock_behind_ms", "gauge", clock_behind_ms, "how far the clock is behind the last event; above 0 nothing is issued"),
};
#undef M

static int64_t metric_value(const struct core_stats *s, const struct metric *m)
{
    int64_t v;
    memcpy(&v, (const char *)s + m->offset, sizeof v);
    return v;
}

static void histogram_put(struct buf *out, const char *name, const char *help, const struct stats_histogram *h)
{
    uint64_t sum = 0;
    buf_printf(out, "# HELP %s %s\n# TYPE %s histogram\n", name, help, name);
    for (int i = 0; i < STATS_BUCKETS - 1; i++) {
        sum += h->bucket[i];
        buf_printf(out, "%s_bucket{le=\"%.6f\"} %llu\n", name, (double)((int64_t)64 << i) / 1e6, (unsigned long long)sum);
    }
    buf_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.6f\n%s_count %llu\n", name, (unsigned long long)h->count, name,
               (double)h->sum_us / 1e6, name, (unsigned long long)h->count);
}

static void edges_put(const struct edge_row *edges, size_t n, int64_t now_ms, struct buf *out)
{
    if (!n)
        return;
    buf_put_str(out, "# HELP cradle_edge_ack_age_seconds since the edge's last acknowledgement\n# TYPE cradle_edge_ack_age_seconds gauge\n");
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "cradle_edge_ack_age_seconds{edge=\"" SPAN_FMT "\"} %.3f\n", SPAN_ARG(edges[i].name),
                   (double)(now_ms - edges[i].acked_at) / 1e3);
    buf_put_str(out, "# HELP cradle_edge_stale whether the edge says that its snapshot is too old\n# TYPE cradle_edge_stale gauge\n");
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "cradle_edge_stale{edge=\"" SPAN_FMT "\"} %lld\n", SPAN_ARG(edges[i].name), (long long)edges[i].stale);
}

static void prometheus_put(struct core *core, const struct broker_totals *totals, const struct edge_row *edges, size_t n, int64_t now_ms, struct buf *out)
{
    const struct core_stats *s = &core->stats;
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++)
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %lld\n", metrics[i].name, metrics[i].help, metrics[i].name, metrics[i].type,
                   metrics[i].name, (long long)metric_value(s, &metrics[i]));
    buf_put_str(out, "# HELP cradle_refused_total refusals by stable reason\n# TYPE cradle_refused_total counter\n");
    for (int e = 1; e < CE_COUNT; e++)
        if (s->refused[e])
            buf_printf(out, "cradle_refused_total{reason=\"%s\"} %llu\n", err_reason((enum err)e), (unsigned long long)s->refused[e]);
    buf_put_str(out, "# HELP cradle_devices devices by state\n# TYPE cradle_devices gauge\n");
    for (int i = 0; i < DEVICE_STATES; i++)
        buf_printf(out, "cradle_devices{state=\"%s\"} %lld\n", device_state_name((enum device_state)i), (long long)core->devices[i]);
    histogram_put(out, "cradle_commit_seconds", "time of a commit", &s->commit);
    histogram_put(out, "cradle_request_seconds", "from the queue to the decision", &s->request);
    histogram_put(out, "cradle_sign_seconds", "from the request to the signer's answer", &s->sign);
    histogram_put(out, "cradle_revocation_seconds", "from the commit of a revocation to its frame", &s->propagation);
    update_metrics_put(core, out);
    front_counts_put(core, out);
    edges_put(edges, n, now_ms, out);
    broker_metrics_put(totals, out);
}

static void drill_put(const struct core *core, struct json_out *j)
{
    const struct drill_last *d = &core->drill;
    int64_t every_s = core->cfg.drill_every_s, since = d->passed_at ? d->passed_at : core->site_at;
    json_obj(j, "drill");
    json_int(j, "every_s", every_s);
    json_cstr(j, "last_result", d->result);
    if (d->at)
        json_time_ms(j, "last_at", d->at);
    else
        json_none(j, "last_at");
    if (d->passed_at)
        json_time_ms(j, "passed_at", d->passed_at);
    else
        json_none(j, "passed_at");
    if (every_s)
        json_time_ms(j, "due_at", since + every_s * 1000);
    else
        json_none(j, "due_at");
    json_obj_end(j);
}

static void status_put(struct core *core, const struct broker_totals *totals, const struct edge_row *edges, size_t n, int64_t now_ms, struct buf *out)
{
    const struct core_stats *s = &core->stats;
    struct json_out j = JSON_OUT(out);
    json_obj(&j, NULL);
    json_time_ms(&j, "at", now_ms);
    json_cstr(&j, "version", CRADLE_VERSION);
    json_int(&j, "uptime_s", (clock_mono_ms() - core->started_ms) / 1000);
    json_int(&j, "slot", core->node.slot);
    json_int(&j, "nseq", core->node.nseq);
    json_int(&j, "epoch", core->node.epoch);
    json_obj(&j, "devices");
    for (int i = 0; i < DEVICE_STATES; i++)
        json_int(&j, device_state_name((enum device_state)i), core->devices[i]);
    json_obj_end(&j);
    json_obj(&j, "counters");
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++)
        json_int(&j, metrics[i].name + strlen("cradle_"), metric_value(s, &metrics[i]));
    json_obj_end(&j);
    json_obj(&j, "refused");
    for (int e = 1; e < CE_COUNT; e++)
        if (s->refused[e])
            json_int(&j, err_reason((enum err)e), (int64_t)s->refused[e]);
    json_obj_end(&j);
    drill_put(core, &j);
    enroll_status_put(core, &j);
    update_status_put(core, now_ms, &j);
    token_status_put(core, &j);
    json_arr(&j, "edges");
    for (size_t i = 0; i < n; i++) {
        json_obj(&j, NULL);
        json_str(&j, "name", edges[i].name);
        json_str(&j, "vector", edges[i].vector);
        json_time_ms(&j, "acked_at", edges[i].acked_at);
        json_time_ms(&j, "seen_at", edges[i].seen_at);
        json_bool(&j, "stale", edges[i].stale != 0);
        broker_status_put(totals, edges[i].name, &j);
        json_obj_end(&j);
    }
    json_arr_end(&j);
    json_obj_end(&j);
}

void core_metrics(struct core *core, bool json, struct buf *out)
{
    struct arena a = { 0 };
    struct edge_row *edges = NULL;
    size_t n = 0;
    struct broker_totals *totals = broker_totals_read(core->db);
    int64_t now_ms = clock_now_ms();
    for (int i = 0; i < CORE_PARTS; i++) {
        const struct core_part *p = part_find((enum core_part_id)i);
        if (core->parts[i] && p->metrics)
            p->metrics(core->parts[i], &core->stats);
    }
    if (store_edge_list(core->db, &a, &edges, &n, NULL))
        n = 0; /* the rest is worth saying all the same */
    if (json)
        status_put(core, totals, edges, n, now_ms, out);
    else
        prometheus_put(core, totals, edges, n, now_ms, out);
    broker_totals_free(totals);
    arena_free(&a);
}

enum err metrics_op(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_metrics *m = msg;
    CLEANUP(buf_free) struct buf text = BUF_INIT(0);
    (void)c;
    (void)f;
    core_metrics(b->core, m->json != 0, &text);
    out->body_kind = m->json ? BODY_JSON : BODY_TEXT;
    out->body = arena_copy(b->arena, buf_span(&text));
    return CE_OK;
}
