/* fold_apply.c: what each kind of event does to the tables, written a second time on purpose: from the event's fields alone, without
 * the code that decided it. See fold.h. */
#include "base/clock.h"
#include "core/fold_priv.h"
#include "crypt/ca_set.h"
#include "store/artifact.h"
#include "store/ca.h"
#include "store/cert.h"
#include "store/crypto.h"
#include "store/enroll.h"
#include "store/registry.h"
#include "store/tag.h"
#include "store/topics.h"
#include "store/update.h"

struct span fold_text(struct fold *x, const char *key)
{
    const json_t *v = json_object_get(x->payload, key);
    if (!json_is_string(v)) {
        x->err = fault_set(x->f, CE_LOG_INCONSISTENT, "field '%s' is missing", key);
        return span_str("");
    }
    return span_of(json_string_value(v), json_string_length(v));
}

int64_t fold_number(struct fold *x, const char *key)
{
    const json_t *v = json_object_get(x->payload, key);
    if (!json_is_integer(v))
        x->err = fault_set(x->f, CE_LOG_INCONSISTENT, "field '%s' is missing", key);
    return (int64_t)json_integer_value(v);
}

static struct span bytes(struct fold *x, const char *key, bool hex)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    struct span t = fold_text(x, key);
    if (hex ? hex_decode(t, &b) : base64_decode(t, &b))
        x->err = fault_set(x->f, CE_LOG_INCONSISTENT, "field '%s' cannot be decoded", key);
    return arena_copy(&x->arena, buf_span(&b));
}
struct span fold_hexed(struct fold *x, const char *key) { return bytes(x, key, true); }
struct span fold_base64(struct fold *x, const char *key) { return bytes(x, key, false); }

/* A CA that `cradle init` made is named after its use, and active; of another one the next event says more. */
static enum err fold_ca(struct fold *x)
{
    const struct ca_row r = { fold_text(x, "name"), fold_hexed(x, "kid"), bytes(x, "der", false), x->ev->at };
    const struct ca_state_row s = { .name = r.name, .use = r.name, .state = span_str(ca_state_name(CA_ACTIVE)), .changed_at = r.added_at };
    enum err e = x->err ? x->err : store_ca_add(x->to, &r, x->f);
    return e ? e : store_ca_state_put(x->to, &s, x->f);
}

static enum err fold_ca_state(struct fold *x)
{
    const struct ca_state_row s = { .name = fold_text(x, "name"), .use = fold_text(x, "use"), .state = fold_text(x, "state"),
                                    .reenroll = fold_number(x, "reenroll"), .changed_at = x->ev->at };
    return x->err ? x->err : store_ca_state_put(x->to, &s, x->f);
}

static enum err fold_backend(struct fold *x)
{
    const struct topics_row t = { .name = fold_text(x, "name"), .write = fold_text(x, "write"), .read = fold_text(x, "read") };
    return x->err ? x->err : store_topics_put(x->to, TOPICS_BACKEND, &t, x->f);
}

static enum err fold_model(struct fold *x)
{
    const struct model_row r = { fold_text(x, "name"), fold_text(x, "line"), fold_text(x, "title"), fold_text(x, "hw_rev"), x->ev->at };
    return x->err ? x->err : store_model_add(x->to, &r, x->f);
}

static enum err fold_device(struct fold *x)
{
    const struct device_row r = { .uid = x->ev->device, .serial = fold_text(x, "serial"), .model = fold_text(x, "model"), .line = fold_text(x, "line"),
                                  .batch = fold_text(x, "batch"), .country = fold_text(x, "country"), .created_by = fold_text(x, "by"),
                                  .created_at = x->ev->at, .state = SPAN_LIT("registered") };
    return x->err ? x->err : store_device_add(x->to, &r, x->f);
}

static enum err fold_device_state(struct fold *x)
{
    struct span state = fold_text(x, "to");
    enum err e = x->err ? x->err : store_device_set(x->to, x->ev->device, x->ev->rev - 1, state, x->ev->at, x->f);
    return e ? e : fold_mass_changed(x);
}

/* Another event that belongs to the device and moved its rev. Several events of one change carry the same rev. */
static enum err fold_rev(struct fold *x)
{
    struct device_row d;
    if (!x->ev->rev || !x->ev->device.n)
        return CE_OK;
    enum err e = store_device_get(x->to, &x->arena, x->ev->device, &d, x->f);
    if (e || d.rev == x->ev->rev)
        return e;
    return store_device_touch(x->to, x->ev->device, x->ev->rev - 1, x->f);
}

static enum err fold_device_tags(struct fold *x)
{
    struct span tags = fold_text(x, "tags");
    enum err e = x->err ? x->err : store_tags_put(x->to, x->ev->device, tags, x->f);
    return e ? e : fold_rev(x);
}

static enum err fold_intent(struct fold *x)
{
    struct span spki = fold_hexed(x, "spki"), holder = fold_text(x, "holder");
    enum cert_holder kind = (enum cert_holder)fold_number(x, "holder_kind");
    enum err e = x->err ? x->err : store_key_add(x->to, spki, kind, holder, x->ev->at, x->f);
    return e ? e : fold_rev(x);
}

static enum err fold_issued(struct fold *x)
{
    const struct cert_row r = { .kid = fold_hexed(x, "kid"), .serial = fold_hexed(x, "serial"), .holder_kind = (enum cert_holder)fold_number(x, "holder_kind"),
                                .holder = fold_text(x, "holder"), .profile = fold_text(x, "profile"), .spki = fold_hexed(x, "spki"),
                                .not_before = fold_number(x, "not_before"), .not_after = fold_number(x, "not_after"), .issued_at = x->ev->at,
                                .der = fold_hexed(x, "sha256") };
    enum err e = x->err ? x->err : store_cert_add(x->to, &r, x->f);
    if (!e && r.holder_kind == CERT_HOLDER_DEVICE)
        e = store_enroll_issued(x->to, r.spki, r.holder, x->ev->at, x->f);
    const json_t *key_alg = json_object_get(x->payload, "key_alg"); /* events of before the inventory have none */
    if (!e && r.holder_kind == CERT_HOLDER_DEVICE && key_alg) {
        const struct crypto_row c = { r.holder, r.kid, r.serial, fold_text(x, "key_alg"), fold_text(x, "sig_alg"), r.not_after };
        e = x->err ? x->err : store_crypto_put(x->to, &x->arena, &c, x->f);
    }
    return e ? e : fold_rev(x);
}

/* A line each: holder kid serial key_alg sig_alg not_after. */
static enum err fold_certs_read(struct fold *x)
{
    struct span lines = fold_text(x, "certs"), line;
    enum err e = x->err;
    while (!e && span_cut(&lines, '\n', &line) && line.n) {
        CLEANUP(buf_free) struct buf kid = BUF_INIT(64), serial = BUF_INIT(64);
        struct span word[6];
        struct crypto_row c = { 0 };
        size_t n = 0;
        while (n < 6 && span_cut(&line, ' ', &word[n]))
            n++;
        if (n != 6 || hex_decode(word[1], &kid) || hex_decode(word[2], &serial) || !span_to_i64(word[5], &c.not_after))
            return fault_set(x->f, CE_LOG_INCONSISTENT, "field 'certs' is malformed");
        c = (struct crypto_row){ word[0], buf_span(&kid), buf_span(&serial), word[3], word[4], c.not_after };
        e = store_crypto_put(x->to, &x->arena, &c, x->f);
    }
    return e;
}

/* The state before, then what the event changes in it. */
static enum err state_of(struct fold *x, struct span kid, struct span serial, struct cert_state *s)
{
    struct db_rows r;
    *s = (struct cert_state){ 0 };
    db_rows(x->to, "SELECT status, revoked_at, reason, first_used_at FROM cert_state WHERE kid = $1 AND serial = $2", DB_ARGS(DB_B(kid), DB_B(serial)), &r);
    if (db_next(&r))
        *s = (struct cert_state){ .status = (enum cert_status)db_i64(&r, 0), .revoked_at = db_i64(&r, 1), .reason = (int)db_i64(&r, 2),
                                  .first_used_at = db_i64(&r, 3) };
    enum err e = db_rows_end(&r, x->f);
    s->shard = fold_number(x, "shard");
    s->not_after = fold_number(x, "not_after");
    return e ? e : x->err;
}

static enum err fold_revoked(struct fold *x)
{
    struct cert_state s;
    struct span kid = fold_hexed(x, "kid"), serial = fold_hexed(x, "serial"), spki = fold_hexed(x, "spki");
    enum err e = state_of(x, kid, serial, &s);
    s.status = (enum cert_status)fold_number(x, "status");
    s.revoked_at = fold_number(x, "revoked_at");
    s.reason = (int)fold_number(x, "reason");
    e = e ? e : x->err ? x->err : store_cert_state_put(x->to, kid, serial, &s, x->f);
    if (!e && s.status == CERT_REVOKED && fold_number(x, "holder_kind") == CERT_HOLDER_DEVICE)
        e = store_crypto_drop(x->to, fold_text(x, "holder"), kid, serial, x->f);
    if (!e && json_is_true(json_object_get(x->payload, "key")))
        e = store_key_revoke(x->to, spki, s.revoked_at, x->f);
    return e ? e : fold_rev(x);
}

static enum err fold_orphan(struct fold *x)
{
    struct cert_state s;
    struct span kid = fold_hexed(x, "kid"), serial = fold_hexed(x, "serial");
    enum err e = state_of(x, kid, serial, &s);
    s.status = CERT_REVOKED;
    s.revoked_at = fold_number(x, "revoked_at");
    s.reason = (int)fold_number(x, "reason");
    return e ? e : x->err ? x->err : store_cert_state_put(x->to, kid, serial, &s, x->f);
}

static enum err fold_first_use(struct fold *x)
{
    struct cert_state s;
    struct span kid = fold_hexed(x, "kid"), serial = fold_hexed(x, "serial");
    enum err e = state_of(x, kid, serial, &s);
    s.first_used_at = x->ev->at;
    return e ? e : x->err ? x->err : store_cert_state_put(x->to, kid, serial, &s, x->f);
}

static enum err fold_superseded(struct fold *x)
{
    struct cert_state s;
    struct span kid = fold_hexed(x, "kid"), serial = fold_hexed(x, "serial");
    enum err e = state_of(x, kid, serial, &s);
    s.status = CERT_SUPERSEDED;
    return e ? e : x->err ? x->err : store_cert_state_put(x->to, kid, serial, &s, x->f);
}

static enum err fold_operator(struct fold *x)
{
    const struct operator_row r = { .name = fold_text(x, "name"), .role = fold_text(x, "role"), .lines = fold_text(x, "lines"), .state = SPAN_LIT("active"),
                                    .rev = 1, .added_at = x->ev->at, .changed_at = x->ev->at };
    return x->err ? x->err : store_operator_add(x->to, &r, x->f);
}

static enum err fold_operator_removed(struct fold *x)
{
    struct operator_row o;
    struct span name = fold_text(x, "name");
    enum err e = x->err ? x->err : store_operator_get(x->to, &x->arena, name, &o, x->f);
    return e ? e : store_operator_set(x->to, name, o.rev, "removed", x->ev->at, x->f);
}

int64_t fold_time_ms(struct fold *x, const char *key)
{
    int64_t ms = 0;
    if (clock_parse_ms(fold_text(x, key), &ms))
        x->err = fault_set(x->f, CE_LOG_INCONSISTENT, "field '%s' is no time", key);
    return ms;
}
int64_t fold_time_s(struct fold *x, const char *key) { return fold_time_ms(x, key) / 1000; }

static enum err fold_tuf(struct fold *x)
{
    const struct tuf_row r = { .role = fold_text(x, "role"), .version = fold_number(x, "version"), .envelope = fold_hexed(x, "sha256"), .sha256 = fold_hexed(x, "sha256"),
                               .length = fold_number(x, "length"), .expires_at = fold_time_s(x, "expires_at"), .added_at = x->ev->at };
    return x->err ? x->err : store_tuf_add(x->to, &r, x->f);
}

static enum err fold_release(struct fold *x)
{
    const struct release_row r = { .line = fold_text(x, "line"), .name = fold_text(x, "name"), .version = fold_text(x, "version"), .path = fold_text(x, "path"),
                                   .sha256 = fold_hexed(x, "sha256"), .sbom_sha256 = fold_hexed(x, "sbom_sha256"), .support_end = fold_text(x, "support_end"),
                                   .counter = fold_number(x, "counter"), .length = fold_number(x, "length"),
                                   .security_only = json_is_true(json_object_get(x->payload, "security_only")), .added_at = x->ev->at,
                                   .min_version = fold_text(x, "min_version"), .handler = fold_text(x, "handler"), .models = fold_text(x, "models"),
                                   .hw_revs = fold_text(x, "hw_revs") };
    return x->err ? x->err : store_release_add(x->to, &r, x->f);
}

static enum err fold_release_withdrawn(struct fold *x)
{
    struct span line = fold_text(x, "line"), name = fold_text(x, "name");
    return x->err ? x->err : store_release_withdraw(x->to, line, name, x->f);
}

static enum err fold_artifact(struct fold *x)
{
    const struct artifact_row r = { .sha256 = fold_hexed(x, "sha256"), .length = fold_number(x, "length"), .name = fold_text(x, "name"),
                                    .encrypted = json_is_true(json_object_get(x->payload, "encrypted")), .sha1 = fold_hexed(x, "sha1"), .added_by = fold_text(x, "by"), .added_at = x->ev->at };
    return x->err ? x->err : store_artifact_add(x->to, &r, x->f);
}

static enum err fold_artifact_removed(struct fold *x)
{
    struct span sha256 = fold_hexed(x, "sha256");
    return x->err ? x->err : store_artifact_remove(x->to, sha256, x->f);
}

static enum err (*const fold_of[EVENT_KINDS])(struct fold *) = {
    [EVENT_SITE_CREATED] = fold_rev,         [EVENT_CA_ADDED] = fold_ca,
    [EVENT_CA_STATE] = fold_ca_state,        [EVENT_LINE_CA] = fold_line_ca,
    [EVENT_LINE_ADDED] = fold_line,          [EVENT_MODEL_ADDED] = fold_model,
    [EVENT_LINE_CHANGED] = fold_line_changed, [EVENT_LINE_STATE] = fold_line_state,
    [EVENT_LINE_APPROVALS] = fold_line_approvals, [EVENT_LINE_ENROLL] = fold_line_enroll, [EVENT_LINE_SERVICE] = fold_line_service,
    [EVENT_LINE_KEY_HOME] = fold_line_key_home, [EVENT_LINE_EK_CA] = fold_line_ek_ca, [EVENT_DEVICE_EK] = fold_device_ek, [EVENT_KEY_HOME] = fold_key_home,
    [EVENT_ENROLL_REQUESTED] = fold_enroll_requested, [EVENT_ENROLL_APPROVED] = fold_enroll_decided,
    [EVENT_ENROLL_REFUSED] = fold_enroll_decided, [EVENT_ENROLL_EXPIRED] = fold_enroll_decided,
    [EVENT_LINE_GRACE] = fold_line_grace,
    [EVENT_KEYS_BLOCKED] = fold_keys_blocked, [EVENT_KEY_UNBLOCKED] = fold_key_unblocked,
    [EVENT_ANCHOR_ADDED] = fold_anchor_added, [EVENT_ANCHOR_REMOVED] = fold_anchor_removed, [EVENT_ANCHOR_CRL] = fold_anchor_crl,
    [EVENT_IDEVID_PINNED] = fold_idevid_pinned, [EVENT_IDEVID_FORGOTTEN] = fold_idevid_forgotten,
    [EVENT_LINE_SECRETS] = fold_line_secrets, [EVENT_SECRET_MADE] = fold_secret_made, [EVENT_SECRET_USED] = fold_secret_used, [EVENT_SECRET_OVER] = fold_secret_over,
    [EVENT_BACKEND_SCOPES] = fold_backend,
    [EVENT_DEVICE_ADDED] = fold_device,      [EVENT_DEVICE_STATE] = fold_device_state,
    [EVENT_DEVICE_TAGS] = fold_device_tags,
    [EVENT_CERT_INTENT] = fold_intent,       [EVENT_CERT_ISSUED] = fold_issued,
    [EVENT_CERTS_READ] = fold_certs_read,
    [EVENT_CERT_ORPHAN] = fold_orphan,       [EVENT_CERT_REVOKED] = fold_revoked,
    [EVENT_CERT_FIRST_USE] = fold_first_use, [EVENT_CERT_SUPERSEDED] = fold_superseded,
    [EVENT_TUF_ACCEPTED] = fold_tuf,         [EVENT_TUF_SIGNED] = fold_tuf,
    [EVENT_RELEASE_ADDED] = fold_release,    [EVENT_RELEASE_WITHDRAWN] = fold_release_withdrawn,
    [EVENT_FIRMWARE_ORDERED] = fold_ordered, [EVENT_FIRMWARE_OFFERED] = fold_offered,
    [EVENT_FIRMWARE_DOWNLOADING] = fold_moved, [EVENT_FIRMWARE_INSTALLED] = fold_moved, [EVENT_FIRMWARE_CONFIRMED] = fold_moved,
    [EVENT_FIRMWARE_FAILED] = fold_moved,    [EVENT_FIRMWARE_ROLLED_BACK] = fold_moved, [EVENT_FIRMWARE_REFUSED] = fold_moved,
    [EVENT_FIRMWARE_POSTPONED] = fold_postponed, [EVENT_FIRMWARE_DECLINED] = fold_moved, [EVENT_FIRMWARE_SILENT] = fold_moved,
    [EVENT_FIRMWARE_CANCELLED] = fold_moved, [EVENT_FIRMWARE_RUNNING] = fold_running, [EVENT_DEVICE_RESET] = fold_moved,
    [EVENT_ARTIFACT_STORED] = fold_artifact, [EVENT_ARTIFACT_REMOVED] = fold_artifact_removed,
    [EVENT_MASS_CREATED] = fold_mass_created, [EVENT_MASS_COUNTED] = fold_mass_counted, [EVENT_MASS_CONFIRMED] = fold_mass_confirmed,
    [EVENT_MASS_STATE] = fold_mass_state, [EVENT_MASS_ENDED] = fold_mass_ended, [EVENT_MASS_LISTED] = fold_mass_listed, [EVENT_MASS_DEVICE] = fold_mass_device,
    [EVENT_ROLLOUT_CREATED] = fold_rollout,  [EVENT_ROLLOUT_APPROVED] = fold_rollout_approved, [EVENT_ROLLOUT_STATE] = fold_rollout_state,
    [EVENT_WAVE_OPENED] = fold_wave_opened,  [EVENT_WAVE_FILLED] = fold_wave_filled, [EVENT_WAVE_REACHED] = fold_wave_reached,
    [EVENT_WAVE_EXCUSED] = fold_wave_excused,
    [EVENT_OPERATOR_ADDED] = fold_operator,  [EVENT_OPERATOR_REMOVED] = fold_operator_removed,
};

enum err fold_apply(struct db *to, const struct event_row *ev, const json_t *payload, struct fault *f)
{
    struct fold x = { .to = to, .ev = ev, .payload = payload, .f = f };
    enum err e = CE_LOG_INCONSISTENT;
    int k = 0;
    while (k < EVENT_KINDS && !span_eq_str(ev->kind, event_name((enum event_kind)k)))
        k++;
    if (k == EVENT_KINDS)
        fault_set(f, e, "the kind is not known");
    else
        e = fold_of[k] ? fold_of[k](&x) : fold_rev(&x);
    arena_free(&x.arena);
    return e;
}
