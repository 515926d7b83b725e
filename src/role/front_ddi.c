/* front_ddi.c: hawkBit's Direct Device Integration API on top of our own: each request asks core what UPDATE_POLL asks, is answered out of
 * that, and what the client tells becomes an UPDATE_REPORT. The number of an action is the order's. It judges nothing that wire/ddi.h or
 * core does not, and of the files it says only where they are.
 *
 * Clients are not told of an order while it waits (a maintenance window, a wave that is full): an action with "update: skip" would
 * come back as a success.
 */
#include "crypt/hash.h"
#include "role/front_priv.h"
#include "wire/ddi.h"

#define DDI_REPEAT_MS 10000     /* progress that says nothing new goes to core as often */
#define DDI_ASK_MS 86400000     /* attributes are asked for once a day, and after an update until it is confirmed */
#define DDI_MEMORY_MAX 100000   /* devices that are remembered */
#define DDI_NOT_NOW_MS 3600000  /* a client that cannot now is asked again after */
#define DDI_TOKEN_S 86400       /* life of a link that needs no certificate; the next look at the action gives a new one */

struct ddi_memory { /* of a device, by its name */
    int64_t id, told_ms, asked_ms; /* monotonic; 0: never */
    char state[16];
};

struct ddi_order { /* what core said */
    int64_t sequence, sleep_s, cancelled, length;
    struct span action, state, reported, reason, line, release, version;
    struct span name, sha1, sha256; /* of the file; raw; empty when it is not here */
    bool forced, encrypted;
};

struct ddi_req {
    int64_t id;      /* of the action in the path */
    struct ddi_feedback fb;
    struct span version; /* attribute */
    int64_t sleep_s; /* of the answer, kept while a report is with core */
    bool told;       /* the report is with core */
    struct ddi_order *order; /* of the answer, kept while the depot makes the token */
};

struct front_map front_ddi_map(void) { return FRONT_MAP(struct ddi_memory); }

/* -- reading -------------------------------------------------------------------------------------------------------------------- */
static struct ddi_memory *memory_of(struct front_req *r)
{
    struct front_map *m = &r->fr->ddi;
    if (m->live >= DDI_MEMORY_MAX && !front_map_get(m, r->caller.cn))
        front_map_free(m);
    return front_map_set(m, r->caller.cn);
}

/* Tenant and device of the path; then the same question for every request. */
static enum err ddi_begin(struct front_req *r, struct ddi_req **out, struct fault *f)
{
    const struct route_match *m = &r->match;
    enum err e = name_check_label("tenant", m->params[0], f);
    *out = r->note = arena_alloc(&r->arena, sizeof **out);
    if (!e && !span_eq_str(m->params[1], r->who.cn))
        e = fault_set(f, CE_OTHER_DEVICE, "the path names another device than the certificate");
    if (!e && m->nparams > 2 && ((*out)->id = ddi_action(m->params[2])) == 0)
        e = fault_set(f, CE_NOT_FOUND, "an action is a number");
    r->desc = &msg_desc_update_poll;
    r->msg = arena_alloc(&r->arena, sizeof(struct msg_update_poll));
    return e;
}

enum err front_ddi_get(struct front_req *r, struct fault *f)
{
    struct ddi_req *d;
    return ddi_begin(r, &d, f);
}

static bool is_progress(const char *state) { return strcmp(state, "installing") == 0 || strncmp(state, "download", 8) == 0; }

enum err front_ddi_feedback(struct front_req *r, struct fault *f)
{
    struct ddi_req *d;
    enum err e = ddi_begin(r, &d, f);
    e = e ? e : ddi_feedback_read(r->body, &r->arena, &d->fb, f);
    if (!e && d->fb.id && d->fb.id != d->id)
        e = fault_set(f, CE_BAD_FIELD, "'id' is another action than the path's");
    if (e)
        return e;
    const struct ddi_memory *m = front_map_get(&r->fr->ddi, r->caller.cn);
    const char *state = ddi_feedback_state(&d->fb, false);
    if (m && m->id == d->id && is_progress(state) && strcmp(m->state, state) == 0 && clock_mono_ms() - m->told_ms < DDI_REPEAT_MS)
        r->here = true; /* nothing new; and what came before may be beyond it */
    return CE_OK;
}

enum err front_ddi_config(struct front_req *r, struct fault *f)
{
    struct ddi_req *d;
    enum err e = ddi_begin(r, &d, f);
    return e ? e : ddi_config_read(r->body, &r->arena, &d->version, f);
}

/* -- what core said --------------------------------------------------------------------------------------------------------------- */
static struct span word_of(struct front_req *r, const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s ? arena_copy(&r->arena, span_str(s)) : (struct span){ 0 };
}

static struct span bytes_of(struct front_req *r, const json_t *o, const char *name)
{
    CLEANUP(buf_free) struct buf raw = BUF_INIT(64);
    return hex_decode(word_of(r, o, name), &raw) ? (struct span){ 0 } : arena_copy(&r->arena, buf_span(&raw));
}

static int64_t number_of(const json_t *o, const char *name) { return json_integer_value(json_object_get(o, name)); }

static enum err order_read(struct front_req *r, struct span body, struct ddi_order *o, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *doc = NULL;
    enum err e = json_parse(body, &doc, f);
    const json_t *file = json_object_get(doc, "artifact");
    if (e)
        return e;
    *o = (struct ddi_order){ .sequence = number_of(doc, "sequence"), .sleep_s = number_of(doc, "sleep_s"), .cancelled = number_of(doc, "cancelled"),
                             .length = number_of(file, "length"), .action = word_of(r, doc, "action"), .state = word_of(r, doc, "state"),
                             .reported = word_of(r, doc, "reported"), .reason = word_of(r, doc, "reason"), .line = word_of(r, doc, "line"),
                             .release = word_of(r, doc, "release"), .version = word_of(r, doc, "version"), .name = word_of(r, file, "name"),
                             .sha1 = bytes_of(r, file, "sha1"), .sha256 = bytes_of(r, file, "sha256"), .forced = json_is_true(json_object_get(doc, "forced")),
                             .encrypted = json_is_true(json_object_get(file, "encrypted")) };
    const struct span tenant = r->match.params[0];
    if (!span_eq_str(tenant, "DEFAULT") && !span_eq(tenant, o->line))
        e = fault_set(f, CE_NOT_FOUND, "the tenant is DEFAULT, or the device's product line");
    return e;
}

static bool is_installed(const struct ddi_order *o) { return span_eq_str(o->reported, "installed"); }
/* The client has closed the action when the file was written, as RAUC and Zephyr do. */
static bool is_closed(const struct ddi_order *o) { return is_installed(o) && span_eq_str(o->reason, "closed"); }

/* Is there an action that the client may be told of? One whose file is written stays until it is closed. */
static bool is_offered(const struct ddi_order *o)
{
    return span_eq_str(o->action, "install") && o->sha1.n && !o->encrypted && (span_eq_str(o->state, "ready") || is_installed(o)) && !is_closed(o);
}

/* Clients of this protocol know nothing of content keys: such an order is refused in their name, so that people see why nothing happens. */
static bool is_undecipherable(const struct ddi_order *o) { return o->encrypted && span_eq_str(o->action, "install") && span_eq_str(o->state, "ready"); }

static void report(struct front_req *r, const struct msg_update_report *m);

/* -- answers ---------------------------------------------------------------------------------------------------------------------- */
static struct ddi_site site_of(const struct front_req *r)
{
    return (struct ddi_site){ .url = span_str(r->fr->config.https_url), .tenant = r->match.params[0], .uid = r->match.params[1] };
}

void front_reply_ddi_base(struct front_req *r, const struct msg_reply *rep)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(8192);
    struct ddi_req *d = r->note;
    struct ddi_memory *m = memory_of(r);
    struct ddi_order o = { .sleep_s = d->sleep_s };
    struct fault f = { 0 };
    enum err e = d->told ? CE_OK : order_read(r, rep->body, &o, &f);
    if (e) {
        front_refuse(r, e, f.text, NULL);
        return;
    }
    if (is_undecipherable(&o)) {
        d->sleep_s = o.sleep_s;
        report(r, &(struct msg_update_report){ .sequence = o.sequence, .state = SPAN_LIT("refused"), .reason = SPAN_LIT("encrypted"),
                                               .text = SPAN_LIT("the file is kept encrypted, and hawkBit's clients cannot decrypt it") });
        return;
    }
    const struct ddi_site s = site_of(r);
    bool deploy = is_offered(&o), due = !m->asked_ms || clock_mono_ms() - m->asked_ms > DDI_ASK_MS;
    /* SWUpdate sends its attributes before it installs, whenever it sees this link: so never beside an action */
    ddi_base_write(&s, o.sleep_s, deploy ? o.sequence : 0, o.cancelled, !deploy && !o.cancelled && (due || is_closed(&o)), &body);
    front_send(r, 200, "application/json", buf_span(&body));
}

/* The last part of the name, in letters that need no quoting anywhere. SWUpdate skips what does not end in .swu. */
static void filename_put(const struct ddi_order *o, struct buf *out)
{
    struct span name = o->name;
    for (size_t i = name.n; i > 0; i--)
        if (name.p[i - 1] == '/') {
            name = span_of(name.p + i, name.n - i);
            break;
        }
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' || c == '_' || (c == '.' && i);
        buf_put_u8(out, plain ? c : '_');
    }
    if (!name.n)
        buf_put_str(out, "file");
}

static void deployment_send(struct front_req *r, const struct ddi_order *o, struct span name, struct span url)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(8192);
    const struct ddi_req *d = r->note;
    ddi_deployment_write(&(struct ddi_deployment){ .id = d->id, .name = o->release, .version = o->version, .filename = name, .sha1 = o->sha1,
                                                   .sha256 = o->sha256, .size = o->length, .url = url, .forced = o->forced }, &body);
    front_send(r, 200, "application/json", buf_span(&body));
}

/* ddi_links = capability: the URL itself is the right, for this device, this file and a day; core is asked at each request all the same. */
static void deployment_by_token(struct front_req *r, const struct msg_reply *rep)
{
    CLEANUP(buf_free) struct buf name = BUF_INIT(256), url = BUF_INIT(2048);
    const struct ddi_order *o = ((const struct ddi_req *)r->note)->order;
    filename_put(o, &name);
    buf_printf(&url, "%s/get/" SPAN_FMT "/" SPAN_FMT, r->fr->config.https_url, SPAN_ARG(rep->body), SPAN_ARG(buf_span(&name)));
    deployment_send(r, o, buf_span(&name), buf_span(&url));
}

static enum err token_ask(struct front_req *r, struct ddi_order *o, struct fault *f)
{
    struct msg_token_make *m = arena_alloc(&r->arena, sizeof *m);
    *m = (struct msg_token_make){ .uid = r->caller.cn, .sha256 = o->sha256, .expires = clock_now_s() + DDI_TOKEN_S };
    ((struct ddi_req *)r->note)->order = o;
    return front_ask(r, r->fr->depot, &msg_desc_token_make, m, f);
}

void front_reply_ddi_deployment(struct front_req *r, const struct msg_reply *rep)
{
    CLEANUP(buf_free) struct buf name = BUF_INIT(256), url = BUF_INIT(2048);
    const struct ddi_req *d = r->note;
    const struct ddi_site s = site_of(r);
    struct ddi_order *o = arena_alloc(&r->arena, sizeof *o);
    struct fault f = { 0 };
    if (d->order) {
        deployment_by_token(r, rep);
        return;
    }
    enum err e = order_read(r, rep->body, o, &f);
    if (!e && (o->sequence != d->id || !is_offered(o)))
        e = fault_set(&f, CE_NOT_FOUND, "this device has no such action now");
    if (!e && r->fr->config.ddi_tokens && !(e = token_ask(r, o, &f)))
        return;
    if (e) {
        front_refuse(r, e, f.text, NULL);
        return;
    }
    filename_put(o, &name);
    buf_printf(&url, SPAN_FMT "/" SPAN_FMT "/controller/v1/" SPAN_FMT "/artifact/%lld/" SPAN_FMT, SPAN_ARG(s.url), SPAN_ARG(s.tenant), SPAN_ARG(s.uid),
               (long long)d->id, SPAN_ARG(buf_span(&name)));
    deployment_send(r, o, buf_span(&name), buf_span(&url));
}

void front_reply_ddi_cancel(struct front_req *r, const struct msg_reply *rep)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(256);
    const struct ddi_req *d = r->note;
    struct ddi_order o;
    struct fault f = { 0 };
    enum err e = order_read(r, rep->body, &o, &f);
    if (!e && o.cancelled != d->id)
        e = fault_set(&f, CE_NOT_FOUND, "no such action of this device was cancelled");
    if (e) {
        front_refuse(r, e, f.text, NULL);
        return;
    }
    ddi_cancel_write(d->id, &body);
    front_send(r, 200, "application/json", buf_span(&body));
}

/* The file itself: who the order names has asked; the bytes are nginx'. */
void front_reply_ddi_artifact(struct front_req *r, const struct msg_reply *rep)
{
    const struct ddi_req *d = r->note;
    struct ddi_order o;
    struct fault f = { 0 };
    enum err e = order_read(r, rep->body, &o, &f);
    if (!e && (o.sequence != d->id || !is_offered(&o) || o.sha256.n != SHA256_LEN))
        e = fault_set(&f, CE_NOT_FOUND, "this device has no such action now");
    if (e)
        front_refuse(r, e, f.text, NULL);
    else
        front_send_artifact(r, o.sha256, false);
}

/* -- reports ---------------------------------------------------------------------------------------------------------------------- */
static void report(struct front_req *r, const struct msg_update_report *m)
{
    struct ddi_req *d = r->note;
    struct msg_update_report *own = arena_alloc(&r->arena, sizeof *own);
    struct fault f = { 0 };
    *own = *m;
    d->told = true;
    enum err e = front_ask(r, r->fr->core, &msg_desc_update_report, own, &f);
    if (e)
        front_refuse(r, e, f.text, NULL);
}

static void done(struct front_req *r) { front_send(r, 200, NULL, (struct span){ 0 }); } /* exactly 200: RAUC and Zephyr compare */

/* Reads what core said; true: the request has ended (the report is answered, or it was refused). */
static bool ended(struct front_req *r, const struct msg_reply *rep, struct ddi_order *o)
{
    struct fault f = { 0 };
    if (((struct ddi_req *)r->note)->told) {
        done(r);
        return true;
    }
    enum err e = order_read(r, rep->body, o, &f);
    if (e)
        front_refuse(r, e, f.text, NULL);
    return e != CE_OK;
}

static void remember(struct front_req *r, int64_t id, const char *state)
{
    struct ddi_memory *m = memory_of(r);
    m->id = id;
    m->told_ms = clock_mono_ms();
    INVARIANT(span_to_cstr(span_str(state), m->state, sizeof m->state) == CE_OK);
}

void front_reply_ddi_feedback(struct front_req *r, const struct msg_reply *rep)
{
    const struct ddi_req *d = r->note;
    struct ddi_order o;
    if (ended(r, rep, &o))
        return;
    bool current = d->id == o.sequence;
    const char *state = ddi_feedback_state(&d->fb, current && is_installed(&o) && !is_closed(&o));
    if (current && (span_eq_str(o.reported, "confirmed") || (is_installed(&o) && is_progress(state)))) { /* a late line of its log takes nothing back */
        done(r);
        return;
    }
    struct msg_update_report m = { .sequence = d->id, .state = span_str(state), .percent = ddi_feedback_percent(&d->fb), .text = d->fb.text };
    if (strcmp(state, "installed") == 0 && d->fb.execution == DDI_CLOSED)
        m.reason = SPAN_LIT("closed");
    if (strcmp(state, "confirmed") == 0)
        m.version = o.version;
    if (strcmp(state, "postponed") == 0)
        m.until = clock_now_ms() + DDI_NOT_NOW_MS;
    remember(r, d->id, state);
    report(r, &m);
}

void front_reply_ddi_cancelled(struct front_req *r, const struct msg_reply *rep)
{
    const struct ddi_req *d = r->note;
    struct ddi_order o;
    if (ended(r, rep, &o))
        return;
    bool yes = d->fb.execution == DDI_CLOSED && d->fb.finished != DDI_FAILURE && o.cancelled == d->id;
    if (yes)
        report(r, &(struct msg_update_report){ .sequence = d->id, .state = SPAN_LIT("declined"), .reason = SPAN_LIT("cancelled"), .text = d->fb.text });
    else
        done(r); /* it could not: it is told of the cancel again */
}

void front_reply_ddi_config(struct front_req *r, const struct msg_reply *rep)
{
    const struct ddi_req *d = r->note;
    struct ddi_order o;
    if (ended(r, rep, &o))
        return;
    memory_of(r)->asked_ms = clock_mono_ms();
    if (!d->version.n)
        done(r);
    else if (is_installed(&o) && span_eq(d->version, o.version))
        report(r, &(struct msg_update_report){ .sequence = o.sequence, .state = SPAN_LIT("confirmed"), .version = d->version, .text = SPAN_LIT("by its attributes") });
    else
        report(r, &(struct msg_update_report){ .state = SPAN_LIT("running"), .version = d->version });
}
