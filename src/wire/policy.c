/* policy.c: see policy.h. */
#include "wire/policy.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/name.h"
#include "crypt/cert.h"

#define HEAD "cradle-policy 1"
#define POLICY_CAS 32

struct policy {
    uint8_t *doc;             /* what all spans point into */
    struct span *templates;   /* of all sets, one after the other */
    struct policy_line *lines;
    struct policy_backend *backends;
    size_t n_templates, n_lines, n_backends;
    struct policy_ca cas[POLICY_CAS];
    struct buf ders[POLICY_CAS];
    size_t n_cas;
};

struct reader {
    struct policy *p;
    struct span rest;
    size_t number;            /* of the line of text, from 1 */
    struct policy_line *line; /* the section; both NULL: none yet */
    struct policy_backend *backend;
    char kind;                /* of the section's last template; 0: none yet */
    struct fault *f;
};

static const char *const clones_names[] = {
    [POLICY_CLONES_ALARM] = "alarm", [POLICY_CLONES_QUARANTINE] = "quarantine", [POLICY_CLONES_REFUSE] = "refuse"
};

const char *policy_clones_name(enum policy_clones c) { return clones_names[c]; }

bool policy_clones_from_name(struct span name, enum policy_clones *out)
{
    for (size_t i = 0; i < ARRAY_LEN(clones_names); i++)
        if (span_eq_str(name, clones_names[i])) {
            *out = (enum policy_clones)i;
            return true;
        }
    return false;
}

static enum err bad(const struct reader *r, const char *rule)
{
    return fault_set(r->f, CE_BAD_CONFIG, "policy, line %zu: %s", r->number, rule);
}

static enum err name_take(const struct reader *r, struct span name, const struct span *before)
{
    struct fault why;
    if (name_check_label("the name", name, &why))
        return bad(r, why.text);
    return before && span_cmp(*before, name) >= 0 ? bad(r, "names ascend, and each is there once") : CE_OK;
}

static enum err line_begin(struct reader *r, struct span rest)
{
    struct policy *p = r->p;
    struct policy_line *l = &p->lines[p->n_lines];
    struct span name = { 0 };
    if (p->n_backends)
        return bad(r, "lines come before backends");
    span_cut(&rest, ' ', &name);
    enum err e = name_take(r, name, p->n_lines ? &p->lines[p->n_lines - 1].name : NULL);
    if (!e && !policy_clones_from_name(rest, &l->clones))
        e = bad(r, "a line is `line NAME alarm|quarantine|refuse`");
    if (e)
        return e;
    l->name = name;
    p->n_lines++;
    r->line = l;
    r->kind = 0;
    return CE_OK;
}

static enum err backend_begin(struct reader *r, struct span name)
{
    struct policy *p = r->p;
    enum err e = name_take(r, name, p->n_backends ? &p->backends[p->n_backends - 1].name : NULL);
    if (e)
        return e;
    r->line = NULL;
    r->backend = &p->backends[p->n_backends++];
    r->backend->name = name;
    r->kind = 0;
    return CE_OK;
}

static struct topic_set *set_of(const struct reader *r, char kind)
{
    if (r->line)
        return kind == 'w' ? &r->line->rights.write : kind == 'r' ? &r->line->rights.read : &r->line->repair.write;
    return kind == 'w' ? &r->backend->rights.write : &r->backend->rights.read;
}

/* " w TEMPLATE" */
static enum err template_take(struct reader *r, struct span text)
{
    static const char order[] = "wrq";
    struct policy *p = r->p;
    char kind = text.n > 3 && text.p[2] == ' ' ? (char)text.p[1] : 0;
    const char *at = kind ? strchr(order, kind) : NULL;
    if (!r->line && !r->backend)
        return bad(r, "a template before the first line or backend");
    if (!at || (kind == 'q' && !r->line))
        return bad(r, r->line ? "a template is ` w TEMPLATE`, ` r TEMPLATE` or ` q TEMPLATE`"
                              : "a backend's filter is ` w FILTER` or ` r FILTER`");
    if (r->kind && at < strchr(order, r->kind))
        return bad(r, "templates come in the order w, r, q");
    struct topic_set *set = set_of(r, kind);
    if (r->kind != kind)
        set->templates = &p->templates[p->n_templates];
    if (set->n == TOPIC_TEMPLATES)
        return bad(r, "more than 8 templates of one letter");
    struct fault why;
    struct span t = span_of(text.p + 3, text.n - 3);
    if (topic_template_check(t, r->line != NULL, &why))
        return bad(r, why.text);
    p->templates[p->n_templates++] = t;
    set->n++;
    r->kind = kind;
    if (kind == 'q')
        r->line->repair.read = r->line->repair.write;
    return CE_OK;
}

static bool word_strip(struct span *text, const char *word)
{
    if (!span_starts(*text, word))
        return false;
    *text = span_of(text->p + strlen(word), text->n - strlen(word));
    return true;
}

static enum err ca_take(struct reader *r, struct span rest)
{
    static const char *const kinds[] = { "device", "infra", "link" };
    struct policy *p = r->p;
    struct span word = { 0 };
    struct cert cert;
    struct fault why;
    size_t kind = 0;
    if (r->line || r->backend || p->n_cas == POLICY_CAS)
        return bad(r, "CAs come first, 32 at most");
    span_cut(&rest, ' ', &word);
    while (kind < ARRAY_LEN(kinds) && !span_eq_str(word, kinds[kind]))
        kind++;
    struct buf *der = &p->ders[p->n_cas];
    *der = BUF_INIT(CERT_MAX);
    if (kind == ARRAY_LEN(kinds) || base64_decode(rest, der) || buf_err(der) || cert_parse(buf_span(der), &cert, &why) || !cert.is_ca ||
        cert.ski.n != SNAPSHOT_KEY) {
        buf_free(der);
        return bad(r, "a CA is `ca device|infra|link BASE64`, a CA certificate with a key identifier of 20 bytes");
    }
    struct policy_ca *ca = &p->cas[p->n_cas++];
    ca->kind = (enum policy_ca_kind)kind;
    ca->der = buf_span(der);
    memcpy(ca->kid, cert.ski.p, sizeof ca->kid);
    return CE_OK;
}

static enum err text_take(struct reader *r, struct span text)
{
    r->number++;
    if (r->number == 1)
        return span_eq_str(text, HEAD) ? CE_OK : bad(r, "it does not begin with `" HEAD "`");
    if (text.n && text.p[0] == ' ')
        return template_take(r, text);
    if (word_strip(&text, "ca "))
        return ca_take(r, text);
    if (word_strip(&text, "line "))
        return line_begin(r, text);
    if (word_strip(&text, "backend "))
        return backend_begin(r, text);
    return bad(r, "neither a line, nor a backend, nor a template of one");
}

/* Room for all that the document can hold: one entry for each line of text that begins so. */
static void room_make(struct policy *p, struct span doc)
{
    size_t lines = 0, backends = 0, templates = 0;
    struct span text;
    while (span_cut(&doc, '\n', &text)) {
        templates += span_starts(text, " ");
        lines += span_starts(text, "l");
        backends += span_starts(text, "b");
    }
    p->templates = mem_calloc(templates + 1, sizeof *p->templates);
    p->lines = mem_calloc(lines + 1, sizeof *p->lines);
    p->backends = mem_calloc(backends + 1, sizeof *p->backends);
}

enum err policy_parse(struct span doc, struct policy **out, struct fault *f)
{
    struct span text;
    *out = NULL;
    if (doc.n > POLICY_MAX)
        return fault_set(f, CE_TOO_LARGE, "the policy has %zu bytes, more than %d", doc.n, POLICY_MAX);
    if (!doc.n || doc.p[doc.n - 1] != '\n')
        return fault_set(f, CE_BAD_CONFIG, "the policy does not end with a line feed");
    struct policy *p = mem_calloc(1, sizeof *p);
    p->doc = mem_alloc(doc.n);
    memcpy(p->doc, doc.p, doc.n);
    struct reader r = { .p = p, .rest = span_of(p->doc, doc.n), .f = f };
    room_make(p, r.rest);
    enum err e = CE_OK;
    while (!e && span_cut(&r.rest, '\n', &text))
        e = text_take(&r, text);
    if (e)
        policy_free(p);
    else
        *out = p;
    return e;
}

void policy_free(struct policy *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n_cas; i++)
        buf_free(&p->ders[i]);
    free(p->doc);
    free(p->templates);
    free(p->lines);
    free(p->backends);
    free(p);
}

static int line_cmp(const void *name, const void *l) { return span_cmp(*(const struct span *)name, ((const struct policy_line *)l)->name); }

static int backend_cmp(const void *name, const void *b) { return span_cmp(*(const struct span *)name, ((const struct policy_backend *)b)->name); }

const struct policy_line *policy_line(const struct policy *p, struct span name)
{
    return bsearch(&name, p->lines, p->n_lines, sizeof *p->lines, line_cmp);
}

const struct policy_backend *policy_backend(const struct policy *p, struct span name)
{
    return bsearch(&name, p->backends, p->n_backends, sizeof *p->backends, backend_cmp);
}

size_t policy_lines(const struct policy *p) { return p->n_lines; }
size_t policy_backends(const struct policy *p) { return p->n_backends; }

const struct policy_line *policy_line_at(const struct policy *p, size_t i)
{
    INVARIANT(i < p->n_lines);
    return &p->lines[i];
}

static const struct topic_rights none;

const struct topic_rights *policy_device_rights(const struct policy *p, struct span line, bool quarantined)
{
    const struct policy_line *l = policy_line(p, line);
    return !l ? &none : quarantined ? &l->repair : &l->rights;
}

const struct topic_rights *policy_backend_rights(const struct policy *p, struct span name)
{
    const struct policy_backend *b = policy_backend(p, name);
    return b ? &b->rights : &none;
}

size_t policy_cas(const struct policy *p) { return p->n_cas; }

const struct policy_ca *policy_ca_at(const struct policy *p, size_t i)
{
    INVARIANT(i < p->n_cas);
    return &p->cas[i];
}

const struct policy_ca *policy_ca(const struct policy *p, struct span kid)
{
    for (size_t i = 0; i < p->n_cas; i++)
        if (p->cas[i].kind != POLICY_CA_LINK && span_eq(kid, span_of(p->cas[i].kid, SNAPSHOT_KEY)))
            return &p->cas[i];
    return NULL;
}
