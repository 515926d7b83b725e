/* order_site.h: for tests of orders and rollouts: cert_site.h with the online keys of updates, releases that somebody has signed (core takes front's
 * word for that), devices that hold certificates, and what they ask and tell. Include once. */
#ifndef CRADLE_T_ORDER_SITE_H
#define CRADLE_T_ORDER_SITE_H

#define SITE_UPDATES
#include "base/json.h"
#include "t/tap.h"
#include "t/unit/cert_site.h"
#include "wire/directive.h"
#include "wire/dsse.h"

struct site_release { const char *name, *version, *models, *support_end; int64_t counter; };

static inline void site_role(struct site *s, const char *role, int64_t version, struct span releases)
{
    int64_t by = strcmp(role, "root") == 0 ? 0 : site_count(s, strcmp(role, "targets") == 0 ? "SELECT coalesce(max(version), 0) FROM tuf WHERE role = 'root'" : "SELECT coalesce(max(version), 0) FROM tuf WHERE role = 'targets'");
    const struct msg_tuf_put m = { .role = span_str(role), .version = version, .judged_by = by, .expires = clock_now_s() + s->wall_skew_ms / 1000 + 300 * 86400, .keyids = SPAN_LIT("k1"),
                                   .releases = releases, .envelope = SPAN_LIT("{}") };
    const struct msg_reply *r = site_do(s, &s->admin, &msg_desc_tuf_put, &m);
    site_must((enum err)r->code, NULL, role);
}

/* The line's metadata names exactly these. The digest of a file is its release's name, repeated. */
static inline void site_releases(struct site *s, const char *line, int64_t version, const struct site_release *list, size_t n)
{
    struct buf items = BUF_INIT(0);
    for (size_t i = 0; i < n; i++) {
        uint8_t digest[32];
        char path[100];
        sha256(span_str(list[i].name), digest);
        snprintf(path, sizeof path, "%s/%s/fw.bin", line, list[i].name ? list[i].name : "");
        const struct msg_release_item item = { .name = span_str(list[i].name), .version = span_str(list[i].version), .path = span_str(path),
                                               .sha256 = span_of(digest, 32), .sbom_sha256 = span_of(digest, 32),
                                               .support_end = span_str(list[i].support_end ? list[i].support_end : "2040-01-01"), .counter = list[i].counter,
                                               .length = 1000, .handler = SPAN_LIT("raw"), .models = span_str(list[i].models), .hw_revs = SPAN_LIT("\n") };
        msg_pack(&msg_desc_release_item, &item, &items);
        const struct msg_artifact_add file = { .sha256 = item.sha256, .sha1 = span_of(digest, 20), .length = item.length, .name = span_str(list[i].name) };
        const struct msg_reply *r = site_do(s, &s->admin, &msg_desc_artifact_add, &file);
        site_must(r->code == CE_EXISTS ? CE_OK : (enum err)r->code, NULL, "artifact");
    }
    site_role(s, line, version, buf_span(&items));
    buf_free(&items);
}

static inline void site_enroll(struct site *s, const struct who *station, const char *uid, const char *line, struct who *out)
{
    struct key *k = site_new_key();
    struct msg_enroll m = enroll_msg(uid, k, false);
    site_device(s, uid, line);
    const struct msg_reply *r = site_do(s, station, &msg_desc_enroll, &m);
    site_must((enum err)r->code, NULL, uid);
    who_set(out, CALLER_DEVICE, r->body);
    key_free(k);
}

static inline json_t *site_json(const struct msg_reply *r)
{
    struct fault f;
    json_t *j = NULL;
    if (r->code || json_parse(r->body, &j, &f))
        printf("# no JSON: " SPAN_FMT SPAN_FMT "\n", SPAN_ARG(r->text), SPAN_ARG(r->body));
    return j;
}

static inline json_t *site_poll_as(struct site *s, const struct who *w, const char *version, int64_t utc_offset_s)
{
    const struct msg_update_poll m = { .version = span_str(version), .utc_offset_s = utc_offset_s };
    return site_json(site_do(s, w, &msg_desc_update_poll, &m));
}
static inline json_t *site_poll(struct site *s, const struct who *w) { return site_poll_as(s, w, "", 0); }
static inline const char *json_word(const json_t *j, const char *key)
{
    const char *v = json_string_value(json_object_get(j, key));
    return v ? v : "";
}
static inline bool word_is(const json_t *j, const char *key, const char *want)
{
    bool same = strcmp(json_word(j, key), want) == 0;
    if (!same)
        printf("# %s is '%s'\n", key, json_word(j, key));
    return same;
}
static inline int64_t json_number(const json_t *j, const char *key) { return (int64_t)json_integer_value(json_object_get(j, key)); }

/* The state of a poll: "idle", "waiting", "ready"; keeps nothing. */
static inline bool poll_is(struct site *s, const struct who *w, const char *state)
{
    json_t *j = site_poll(s, w);
    bool good = word_is(j, "state", state);
    json_decref(j);
    return good;
}

static inline const struct msg_reply *site_report(struct site *s, const struct who *w, int64_t sequence, const char *state, const char *version)
{
    const struct msg_update_report m = { .sequence = sequence, .state = span_str(state), .version = span_str(version), .reason = SPAN_LIT("") };
    return site_do(s, w, &msg_desc_update_report, &m);
}

/* What the directive in the poll's answer says; false: none, or not readable. */
static inline bool poll_directive(const json_t *j, struct arena *a, struct directive *d)
{
    struct fault f;
    struct dsse env;
    char *text = json_dumps(json_object_get(j, "directive"), JSON_COMPACT);
    enum err e = text ? dsse_parse(arena_copy(a, span_str(text)), a, &env, &f) : CE_NOT_FOUND;
    e = e ? e : directive_read(env.payload, a, d, &f);
    free(text);
    return !e;
}

/* The counters say what the rows say. */
static inline bool site_counts_good(struct site *s)
{
    return site_count(s, "SELECT count(*) FROM version_count") == site_count(s, "SELECT count(*) FROM (SELECT 1 FROM device_version GROUP BY line, release, version) v") &&
           !site_count(s, "SELECT count(*) FROM (SELECT line, release, version, count(*) AS k FROM device_version GROUP BY line, release, version) v LEFT JOIN "
                          "version_count c ON c.line = v.line AND c.release = v.release AND c.version = v.version WHERE c.n IS NULL OR c.n <> v.k") &&
           site_count(s, "SELECT coalesce(sum(n), 0) FROM rollout_pace WHERE scale_s = 1") == site_count(s, "SELECT count(*) FROM rollout_device WHERE state = 'confirmed'") &&
           !site_count(s, "SELECT count(*) FROM (SELECT rollout, since / 1000 AS at_s, count(*) AS k FROM rollout_device WHERE state = 'confirmed' GROUP BY rollout, since / 1000) v "
                          "LEFT JOIN rollout_pace p ON p.rollout = v.rollout AND p.scale_s = 1 AND p.at_s = v.at_s WHERE p.n IS NULL OR p.n <> v.k") &&
           !site_count(s, "SELECT count(*) FROM (SELECT rollout, at_s - at_s % 3600 AS hour, sum(n) AS k FROM rollout_pace WHERE scale_s = 1 GROUP BY rollout, at_s - at_s % 3600) v "
                          "LEFT JOIN rollout_pace p ON p.rollout = v.rollout AND p.scale_s = 3600 AND p.at_s = v.hour WHERE p.n IS NULL OR p.n <> v.k");
}

static inline bool site_fold_good(struct site *s)
{
    struct fault f = { 0 };
    enum err e = core_fold_check(core_db(s->core), &f);
    if (e)
        printf("# %s\n", f.text);
    return !e && site_counts_good(s);
}
#endif
