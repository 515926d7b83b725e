/* ca_ops.c: a CA is added, activated, retired, found compromised; what the CAs are. The keys are made and kept elsewhere (cradle ca, the
 * signer): here is what counts, and the evidence. See core/ca.h.
 */
#include "core/ca.h"
#include "core/policy.h"
#include "core/registry.h"
#include "core/stream.h"
#include "cradle/snapshot.h"
#include "crypt/cert.h"
#include "crypt/hash.h"
#include "store/ca.h"
#include "store/line_more.h"
#include "wire/route.h"

#define ISSUES_AT_LEAST_S 86400 /* a CA that ends sooner is not activated */

/* -- answers -------------------------------------------------------------------------------------------------------------------------- */
static enum err ca_json(struct batch *b, const struct core_ca *ca, struct json_out *o, struct fault *f)
{
    struct cert cert;
    uint8_t digest[SHA256_LEN];
    int64_t lines = 0, crls = 0, published = 0;
    enum err e = cert_parse(ca->der, &cert, f);
    e = e ? e : store_line_ca_count(b->db, ca->name, &lines, f);
    e = e ? e : store_ca_crls(b->db, ca->kid, &crls, &published, f);
    if (e)
        return e;
    sha256(ca->der, digest);
    json_obj(o, NULL);
    json_str(o, "name", ca->name);
    json_cstr(o, "use", ca_use_name(ca->use));
    json_cstr(o, "state", ca_state_name(ca->state));
    json_hex(o, "kid", ca->kid);
    json_hex(o, "sha256", span_of(digest, sizeof digest));
    json_str(o, "subject", cert.cn);
    json_hex(o, "serial", cert.serial);
    json_hex(o, "issuer_kid", cert.aki);
    json_time_ms(o, "not_before", cert.not_before * 1000);
    json_time_ms(o, "not_after", cert.not_after * 1000);
    json_int(o, "lines", lines);
    json_bool(o, "ready", crls > 0 && crls == published); /* the signer has its key: every CRL of it was made */
    json_int(o, "reenroll", ca->reenroll);
    json_time_ms(o, "changed_at", ca->changed_at);
    json_base64(o, "certificate", ca->der);
    json_obj_end(o);
    return CE_OK;
}

enum err ca_op_list(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_ca_list *m = msg;
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct json_out o = JSON_OUT(&body);
    struct core_ca one;
    enum err e = CE_OK;
    (void)c;
    if (m->name.n) {
        if (!core_ca(b->core, m->name, &one))
            return fault_set(f, CE_NOT_FOUND, "there is no CA '" SPAN_FMT "'", SPAN_ARG(m->name));
        e = ca_json(b, &one, &o, f);
    } else {
        json_obj(&o, NULL);
        json_arr(&o, "items");
        for (size_t i = 0; !e && i < core_cas(b->core); i++)
            e = ca_json(b, core_ca_at(b->core, i), &o, f);
        json_arr_end(&o);
        json_obj_end(&o);
    }
    if (!e)
        reply_json(b, &body, out);
    return e;
}

/* -- writing -------------------------------------------------------------------------------------------------------------------------- */
/* State, evidence, and everybody who has to know. */
static enum err state_write(struct batch *b, const struct core_ca *ca, enum ca_state state, unsigned reenroll, struct span note, struct span by,
                            struct fault *f)
{
    const struct ca_state_row row = { .name = ca->name, .use = span_str(ca_use_name(ca->use)), .state = span_str(ca_state_name(state)),
                                      .reenroll = reenroll, .changed_at = b->now_ms };
    enum err e = store_ca_state_put(b->db, &row, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_CA_STATE, span_of(NULL, 0), 0);
    json_str(j, "name", row.name);
    json_str(j, "use", row.use);
    json_str(j, "state", row.state);
    json_int(j, "reenroll", row.reenroll);
    json_str(j, "note", note);
    json_str(j, "by", by);
    event_end(b);
    struct core_ca now = *ca;
    now.state = state;
    now.reenroll = reenroll;
    ca_push(b, -1, &now);
    if (ca_use_issues(ca->use) && ca_judge_holder(&now) && !ca_judge_holder(ca))
        stream_change_cert(b, SNAPSHOT_OP_ADD, ca->kid, span_of(NULL, 0));
    return CE_OK;
}

/* After the last of an operation's state_write. */
static enum err set_changed(struct batch *b, struct fault *f)
{
    enum err e = ca_set_changed(b, f);
    return e ? e : policy_changed(b, f);
}

static void ceremony_event(struct batch *b, const struct caller *c, const struct msg_ca_add *m)
{
    uint8_t digest[SHA256_LEN];
    sha256(m->der, digest);
    struct json_out *j = event_begin(b, EVENT_CA_CEREMONY, span_of(NULL, 0), 0);
    json_str(j, "name", m->name);
    json_str(j, "use", m->use);
    json_hex(j, "sha256", span_of(digest, sizeof digest));
    json_str(j, "key", m->key);
    json_str(j, "host", m->host);
    json_str(j, "software", m->software);
    json_str(j, "note", m->note);
    json_str(j, "by", c->name);
    event_end(b);
}

/* -- adding --------------------------------------------------------------------------------------------------------------------------- */
/* Who signed it must be a root of ours that counts; a new root is signed by itself. */
static enum err signed_judge(const struct core *core, const struct cert *x, enum ca_use use, struct fault *f)
{
    for (size_t i = 0; i < core_cas(core); i++) {
        const struct core_ca *ca = core_ca_at(core, i);
        struct cert root;
        if (ca->use == CA_USE_ROOT && ca_judge_holder(ca) == CE_OK && cert_parse(ca->der, &root, NULL) == CE_OK && cert_check_issued(x, &root) == CE_OK)
            return CE_OK;
    }
    if (use == CA_USE_ROOT && cert_check_issued(x, x) == CE_OK)
        return CE_OK;
    return fault_set(f, CE_BAD_CERT, "der: no root of this site signed it (RFC 5280 6.1.3)");
}

static enum err add_judge(struct batch *b, const struct msg_ca_add *m, enum ca_use use, struct cert *x, struct fault *f)
{
    struct core_ca other;
    enum err e = name_check_label("name", m->name, f);
    if (!e && ca_use_issues(use))
        e = ca_name_check(m->name, f);
    e = e ? e : name_check_text("key", m->key, 300, f);
    e = e ? e : name_check_text("host", m->host, 64, f);
    e = e ? e : name_check_text("software", m->software, 64, f);
    e = e ? e : name_check_text("note", m->note, TEXT_MAX, f);
    if (!e && !use)
        e = fault_set(f, CE_BAD_FIELD, "use is device, infra, idevid, root or link");
    e = e ? e : cert_parse(m->der, x, f);
    if (e)
        return e;
    if (!x->is_ca || x->ski.n != 20 || !(x->key_usage & KU_CERT_SIGN))
        return fault_set(f, CE_BAD_CERT, "der: it is no CA certificate with keyCertSign and a subject key identifier of 20 bytes (RFC 5280 4.2.1)");
    if (core_cas(b->core) >= CA_SET_MAX)
        return fault_set(f, CE_TOO_LARGE, "a site has %d CAs at most", CA_SET_MAX);
    if (core_ca(b->core, m->name, &other))
        return fault_set(f, CE_EXISTS, "there is a CA '" SPAN_FMT "' already", SPAN_ARG(m->name));
    if (core_ca_by_kid(b->core, x->ski, &other) != (use == CA_USE_LINK))
        return fault_set(f, CE_BAD_CERT, use == CA_USE_LINK ? "der: a link is for the key of a CA that is here already" : "der: a CA with this key is here already");
    return signed_judge(b->core, x, use, f);
}

enum err ca_op_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_ca_add *m = msg;
    enum ca_use use = ca_use_find(m->use);
    struct cert x;
    enum err e = add_judge(b, m, use, &x, f);
    if (e)
        return e;
    const struct ca_row row = { .name = m->name, .kid = x.ski, .der = m->der, .added_at = b->now_ms };
    const struct core_ca ca = { .name = m->name, .kid = x.ski, .der = m->der, .use = use };
    e = store_ca_add(b->db, &row, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_CA_ADDED, span_of(NULL, 0), 0);
    json_str(j, "name", row.name);
    json_hex(j, "kid", row.kid);
    json_base64(j, "der", row.der);
    event_end(b);
    ceremony_event(b, c, m);
    e = state_write(b, &ca, ca_use_issues(use) ? CA_PASSIVE : CA_ACTIVE, 0, m->note, c->name, f);
    e = e ? e : set_changed(b, f);
    out->http = HTTP_CREATED;
    return e ? e : ca_op_list(b, c, &(struct msg_ca_list){ .name = m->name }, out, f);
}

/* -- changing -------------------------------------------------------------------------------------------------------------------------- */
static enum err activate(struct batch *b, const struct caller *c, const struct core_ca *ca, struct span note, struct fault *f)
{
    int64_t crls = 0, published = 0;
    if (!ca_use_issues(ca->use) || ca->state != CA_PASSIVE)
        return fault_set(f, CE_CA_STATE, "CA " SPAN_FMT " is %s for use %s; an issuing CA that is passive can be activated", SPAN_ARG(ca->name),
                         ca_state_name(ca->state), ca_use_name(ca->use));
    enum err e = store_ca_crls(b->db, ca->kid, &crls, &published, f);
    if (e)
        return e;
    if (!crls || crls != published)
        return fault_set(f, CE_CA_STATE, "%lld of %lld CRLs of CA " SPAN_FMT " are made: the signer does not have its key yet (kill -HUP restarts the roles)",
                         (long long)published, (long long)crls, SPAN_ARG(ca->name));
    if (ca->not_after < b->now_ms / 1000 + ISSUES_AT_LEAST_S)
        return fault_set(f, CE_CA_STATE, "CA " SPAN_FMT " ends within a day", SPAN_ARG(ca->name));
    for (size_t i = 0; !e && i < core_cas(b->core); i++) {
        const struct core_ca *old = core_ca_at(b->core, i);
        if (old->use == ca->use && old->state == CA_ACTIVE)
            e = state_write(b, old, CA_PASSIVE, 0, note, c->name, f);
    }
    return e ? e : state_write(b, ca, CA_ACTIVE, 0, note, c->name, f);
}

static bool is_last_root(const struct core *core, const struct core_ca *ca)
{
    for (size_t i = 0; i < core_cas(core); i++)
        if (core_ca_at(core, i)->use == CA_USE_ROOT && !span_eq(core_ca_at(core, i)->name, ca->name) && ca_judge_holder(core_ca_at(core, i)) == CE_OK)
            return false;
    return ca->use == CA_USE_ROOT;
}

/* What must not be lost by mistake, whatever the reason. */
static enum err judge_end(const struct batch *b, const struct caller *c, const struct core_ca *ca, struct fault *f)
{
    if (span_eq(c->m->kid, ca->kid))
        return fault_set(f, CE_CA_STATE, "your own certificate is from CA " SPAN_FMT ": nobody could undo it. Activate another CA for infra, and come with "
                                         "a certificate of that one", SPAN_ARG(ca->name));
    if (is_last_root(b->core, ca))
        return fault_set(f, CE_CA_STATE, "CA " SPAN_FMT " is the only root", SPAN_ARG(ca->name));
    return CE_OK;
}

#define LIVE_MOST 100000 /* core waits for no longer count */
static enum err retire(struct batch *b, const struct caller *c, const struct core_ca *ca, const struct msg_ca_set *m, struct fault *f)
{
    int64_t live = 0, lines = 0;
    enum err e = judge_end(b, c, ca, f);
    if (!e && (ca->state == CA_RETIRED || ca->state == CA_COMPROMISED))
        e = fault_set(f, CE_CA_STATE, "CA " SPAN_FMT " is %s already", SPAN_ARG(ca->name), ca_state_name(ca->state));
    if (!e && ca_use_issues(ca->use) && ca->state == CA_ACTIVE)
        e = fault_set(f, CE_CA_STATE, "CA " SPAN_FMT " issues for use %s: activate another one first", SPAN_ARG(ca->name), ca_use_name(ca->use));
    e = e ? e : store_line_ca_count(b->db, ca->name, &lines, f);
    if (!e && lines)
        e = fault_set(f, CE_CA_STATE, "%lld product lines name CA " SPAN_FMT ": cradle line set LINE --ca default", (long long)lines, SPAN_ARG(ca->name));
    if (!e && ca_use_issues(ca->use))
        e = store_ca_live(b->db, ca->kid, b->now_ms / 1000, LIVE_MOST, &live, f);
    if (!e && live && !m->force)
        e = fault_set(f, CE_CA_STATE, "%s%lld certificates of CA " SPAN_FMT " live: their holders are shut out; wait for their renewals, or say force",
                      live == LIVE_MOST ? "at least " : "", (long long)live, SPAN_ARG(ca->name));
    return e ? e : state_write(b, ca, CA_RETIRED, 0, m->note, c->name, f);
}

static enum err compromise(struct batch *b, const struct caller *c, const struct core_ca *ca, const struct msg_ca_set *m, struct fault *f)
{
    enum err e = judge_end(b, c, ca, f);
    if (!e && (ca->state == CA_COMPROMISED || !ca_use_issues(ca->use)))
        e = fault_set(f, CE_CA_STATE, ca_use_issues(ca->use) ? "CA " SPAN_FMT " is compromised already"
                                                              : "CA " SPAN_FMT " is no issuing CA: a compromised root is a new site (docs/ca.md)",
                      SPAN_ARG(ca->name));
    return e ? e : state_write(b, ca, CA_COMPROMISED, (unsigned)m->reenroll, m->note, c->name, f);
}

static enum err reenroll(struct batch *b, const struct caller *c, const struct core_ca *ca, const struct msg_ca_set *m, struct fault *f)
{
    if (ca->state != CA_COMPROMISED)
        return fault_set(f, CE_CA_STATE, "CA " SPAN_FMT " is not compromised: its devices renew as always", SPAN_ARG(ca->name));
    return state_write(b, ca, CA_COMPROMISED, m->closed ? 0 : (unsigned)m->reenroll, m->note, c->name, f);
}

enum err ca_op_set(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_ca_set *m = msg;
    enum ca_state to = ca_state_find(m->state);
    struct core_ca ca;
    enum err e = name_check_text("note", m->note, TEXT_MAX, f);
    if (!e && !core_ca(b->core, m->name, &ca))
        e = fault_set(f, CE_NOT_FOUND, "there is no CA '" SPAN_FMT "'", SPAN_ARG(m->name));
    if (!e && m->state.n && (!to || to == CA_PASSIVE))
        e = fault_set(f, CE_BAD_FIELD, "state is active, retired or compromised");
    if (!e && (m->reenroll < 0 || m->reenroll > 100 || (!m->state.n && !m->reenroll && !m->closed)))
        e = fault_set(f, CE_BAD_FIELD, "give state, or reenroll (1 to 100), or closed");
    if (e)
        return e;
    e = to == CA_ACTIVE ? activate(b, c, &ca, m->note, f) : to == CA_RETIRED ? retire(b, c, &ca, m, f)
        : to == CA_COMPROMISED ? compromise(b, c, &ca, m, f) : reenroll(b, c, &ca, m, f);
    e = e ? e : set_changed(b, f);
    return e ? e : ca_op_list(b, c, &(struct msg_ca_list){ .name = m->name }, out, f);
}

/* -- after a compromise ------------------------------------------------------------------------------------------------------------------- */
/* Its place among a hundred waves, 0 to 99: the same for ever. */
static unsigned ca_reenroll_place(struct span uid)
{
    uint8_t digest[SHA256_LEN];
    sha256(uid, digest);
    return ((unsigned)digest[0] << 8 | digest[1]) % 100;
}

/* What the CA's signature says is worth nothing. That the caller holds the key that the register has for this very certificate is: the TLS
 * handshake proved the key, authz_caller compared it. So the key may stay the same. */
enum err ca_reenroll_judge(const struct core *core, struct caller *c, struct fault *f)
{
    struct core_ca ca;
    if (c->kind != CALLER_DEVICE || c->m->spki.n != SHA256_LEN || !core_ca_by_kid(core, c->m->kid, &ca) || ca.state != CA_COMPROMISED)
        return CE_CA_COMPROMISED;
    if (ca_reenroll_place(c->name) >= ca.reenroll)
        return fault_set(f, CE_CA_COMPROMISED, "the CA of this certificate is compromised; " SPAN_FMT " may not renew yet", SPAN_ARG(c->name));
    c->role = R_DEVICE;
    return CE_OK;
}
