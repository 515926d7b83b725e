/* evidence_print.c: what `cradle evidence verify` says: the findings, the sums and the devices' timelines, as text or JSON. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/evidence.h"
#include "wire/msg.h"

#define TIMELINES_MAX 50 /* devices whose timelines are printed unasked */
#define DETAIL_MAX 60    /* bytes of one detail */

/* Details worth a line, in this order; the rest is in the export. */
static const char *const details[] = {"model",  "line", "from", "to",   "latency_us", "profile", "serial", "reason",
                                      "status", "op",   "count", "edge", "addr",      "text",    "note",   "by"};

/* Reads the leaf's line again. The caller json_decref()s. */
static json_t *payload_at(struct evidence *ev, off_t offset)
{
    CLEANUP(mem_free_p) char *text = NULL;
    size_t cap = 0;
    struct arena a = {0};
    struct export_line l;
    json_t *o = NULL;
    ssize_t len = fseeko(ev->file, offset, SEEK_SET) ? -1 : getline(&text, &cap, ev->file);
    while (len > 0 && text[len - 1] == '\n')
        len--;
    if (len > 0 && !export_line_parse(span_of(text, (size_t)len), &a, &l, NULL) && l.kind == EXPORT_LEAF && json_parse(l.payload, &o, NULL))
        o = NULL;
    arena_free(&a);
    return o;
}

static void print_details(const json_t *o)
{
    struct json_text t;
    for (size_t i = 0; i < ARRAY_LEN(details); i++) {
        if (!json_object_get(o, details[i]))
            continue;
        const char *v = json_path_text(o, details[i], &t);
        if (strcmp(v, "-") == 0 || !*v)
            continue;
        printf(" %s=", details[i]);
        cli_put_safe(v, DETAIL_MAX);
    }
}

/* -- timelines ---------------------------------------------------------------------------------------------------------------- */
struct timeline {
    const struct ev_device *x;
    size_t n;
};

static bool timeline_next(const struct evidence *ev, struct timeline *t)
{
    const struct ev_device *end = ev->device + ev->ndevice;
    t->x = t->x ? t->x + t->n : ev->device;
    if (t->x == end)
        return false;
    for (t->n = 1; t->x + t->n < end && strcmp(t->x->uid, t->x[t->n].uid) == 0; t->n++)
        ;
    return true;
}

static void timeline_text(struct evidence *ev, const struct cli *c, const struct timeline *t)
{
    struct merkle_proof p;
    bool device = false;
    for (size_t i = 0; i < t->n; i++)
        device |= t->x[i].rev != 0;
    printf("\n%s", cli_tint(c, TINT_BOLD));
    cli_put_safe(t->x->uid, DETAIL_MAX); /* an export is whoever made it */
    printf("%s%s\n", cli_tint(c, TINT_NONE), device ? "" : " (no registered device)");
    for (size_t i = 0; i < t->n; i++) {
        CLEANUP(json_decref_p) json_t *o = payload_at(ev, t->x[i].offset);
        bool good = evidence_proof(ev, t->x[i].index, &p);
        const char *kind = json_path_str(o, "kind", "-");
        printf("  ");
        cli_put_safe(json_path_str(o, "at", "-"), CLOCK_TEXT_MAX);
        printf("  ");
        cli_put_safe(kind, DETAIL_MAX);
        printf("%*s", strlen(kind) < 15 ? (int)(15 - strlen(kind)) : 0, "");
        if (good)
            printf(" %s[leaf %lld, proof of %u hashes]%s ", cli_tint(c, TINT_DIM), (long long)t->x[i].index, p.n, cli_tint(c, TINT_NONE));
        else
            printf(" %s[leaf %lld, NO PROOF]%s ", cli_tint(c, TINT_BAD), (long long)t->x[i].index, cli_tint(c, TINT_NONE));
        if (t->x[i].rev)
            printf(" rev=%lld", (long long)t->x[i].rev);
        print_details(o);
        putchar('\n');
    }
}

static void timeline_json(struct evidence *ev, const struct timeline *t, json_t *out)
{
    struct merkle_proof p;
    json_t *events = json_array();
    for (size_t i = 0; i < t->n; i++) {
        json_t *o = payload_at(ev, t->x[i].offset);
        bool good = evidence_proof(ev, t->x[i].index, &p);
        json_array_append_new(events, json_pack("{s:I,s:b,s:i,s:o}", "index", (json_int_t)t->x[i].index, "proven", good, "proof_hashes",
                                                good ? (int)p.n : 0, "payload", o ? o : json_null()));
    }
    json_array_append_new(out, json_pack("{s:s,s:o}", "device", t->x->uid, "events", events));
}

/* -- the whole ------------------------------------------------------------------------------------------------------------------- */
static void line(const struct cli *c, bool good, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void line(const struct cli *c, bool good, const char *fmt, ...)
{
    va_list ap;
    printf("%s%s%s ", cli_tint(c, good ? TINT_GOOD : TINT_BAD), good ? "ok  " : "BAD ", cli_tint(c, TINT_NONE));
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

static void summary_text(const struct evidence *ev, const struct cli *c)
{
    char root[2 * MERKLE_HASH + 1] = "";
    for (int i = 0; i < MERKLE_HASH; i++)
        snprintf(root + 2 * i, 3, "%02x", ev->head.root.b[i]);
    printf("log of ");
    cli_put_safe(ev->origin, DETAIL_MAX);
    printf(": %zu leaves\nroot %s\n\n", ev->n, root);
    for (size_t i = 0; i < ev->nfinding; i++)
        if (ev->finding[i].bad && ev->finding[i].index >= 0)
            line(c, false, "leaf %lld: %s", (long long)ev->finding[i].index, ev->finding[i].text);
        else if (ev->finding[i].bad)
            line(c, false, "%s", ev->finding[i].text);
    if (ev->bad + ev->notes > ev->nfinding)
        printf("     … and %zu more findings\n", ev->bad + ev->notes - ev->nfinding);
    if (!ev->bad) {
        line(c, true, "every leaf hashed again gives the root that %s signed", ev->key.name);
        if (ev->has_since)
            line(c, true, "the log continues the older checkpoint of %llu leaves (consistency proof of %u hashes)",
                 (unsigned long long)ev->since.size, ev->since_proof);
        for (size_t i = 0; i < ev->nstream; i++)
            line(c, true, "stream %lld is dense: events 1 to %lld", (long long)ev->stream[i].slot, (long long)ev->stream[i].nseq);
        line(c, true, "%zu certificates issued, each after its intent, none twice, none back from revocation", ev->issued);
        line(c, true, "%zu device%s, every change of state allowed and in order", ev->registered, ev->registered == 1 ? "" : "s");
    }
    for (size_t i = 0; i < ev->nfinding; i++)
        if (!ev->finding[i].bad)
            printf("%snote%s %s\n", cli_tint(c, TINT_WARN), cli_tint(c, TINT_NONE), ev->finding[i].text);
}

static json_t *summary_json(const struct evidence *ev)
{
    json_t *findings = json_array();
    CLEANUP(buf_free) struct buf root = BUF_INIT(128);
    for (size_t i = 0; i < ev->nfinding; i++)
        json_array_append_new(findings, json_pack("{s:s,s:o,s:s}", "level", ev->finding[i].bad ? "bad" : "note", "index",
                                                  ev->finding[i].index < 0 ? json_null() : json_integer(ev->finding[i].index), "text",
                                                  ev->finding[i].text));
    buf_put_hex(&root, span_of(ev->head.root.b, MERKLE_HASH));
    return json_pack("{s:b,s:s,s:I,s:s,s:I,s:I,s:I,s:I,s:I,s:o}", "ok", ev->bad == 0, "origin", ev->origin, "size", (json_int_t)ev->n,
                     "root", buf_cstr(&root), "bad", (json_int_t)ev->bad, "notes", (json_int_t)ev->notes, "devices", (json_int_t)ev->registered,
                     "certificates", (json_int_t)ev->issued, "erased", (json_int_t)ev->erased, "findings", findings);
}

enum err evidence_print(struct evidence *ev, struct cli *c, const char *uid, struct fault *f)
{
    struct timeline t = {0};
    bool all = !uid && !ev->bad && ev->uids <= TIMELINES_MAX, found = false; /* a log that does not hold tells no stories */
    CLEANUP(json_decref_p) json_t *o = c->json ? summary_json(ev) : NULL;
    CLEANUP(json_decref_p) json_t *lines = c->json ? json_array() : NULL;
    if (!c->json && !c->quiet)
        summary_text(ev, c);
    while (timeline_next(ev, &t)) {
        if (!all && (!uid || strcmp(uid, t.x->uid) != 0))
            continue;
        found = true;
        if (c->json)
            timeline_json(ev, &t, lines);
        else if (!c->quiet)
            timeline_text(ev, c, &t);
    }
    if (c->json) {
        json_object_set(o, "timelines", lines);
        cli_print_json(o);
    } else if (!c->quiet && !all && !uid && !ev->bad) {
        printf("\n%zu devices: --device UID prints a timeline\n", ev->registered);
    }
    if (uid && !found)
        return fault_set(f, CE_UID_UNKNOWN, "the export has no event of device %.64s", uid);
    return CE_OK;
}
