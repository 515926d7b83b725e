/* evidence_read.c: reads an evidence export: every leaf is hashed again, the note is verified, and what the rules need is kept. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/evidence.h"
#include "crypt/hash.h"
#include "wire/msg.h"

void evidence_free(struct evidence *ev)
{
    if (ev->file)
        fclose(ev->file);
    arena_free(&ev->arena);
    free(ev->leaf);
    for (int i = 0; i < MERKLE_LEVELS; i++)
        free(ev->level[i]);
    free(ev->device);
    free(ev->cert);
    free(ev->signature);
    evidence_people_free(ev->people);
}

static void finding(struct evidence *ev, bool bad, int64_t index, const char *fmt, va_list ap)
{
    size_t *count = bad ? &ev->bad : &ev->notes;
    ++*count;
    if (ev->nfinding == EV_FINDINGS)
        return;
    struct ev_finding *x = &ev->finding[ev->nfinding++];
    *x = (struct ev_finding){.bad = bad, .index = index};
    vsnprintf(x->text, sizeof x->text, fmt, ap);
    for (unsigned char *p = (unsigned char *)x->text; *p; p++)
        if (*p < 0x20 || *p == 0x7f || (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)) /* C0, DEL, C1 */
            *p = '?';
}

void ev_bad(struct evidence *ev, enum err code, int64_t index, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    finding(ev, true, index, fmt, ap);
    va_end(ap);
    if (!ev->worst)
        ev->worst = code;
}

void ev_note(struct evidence *ev, int64_t index, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    finding(ev, false, index, fmt, ap);
    va_end(ap);
}

/* -- arrays --------------------------------------------------------------------------------------------------------------- */
static void *grow(void *items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return items;
    *cap = *cap ? *cap * 2 : 1024;
    return mem_realloc(items, *cap * size);
}

static struct ev_stream *stream_of(struct evidence *ev, int64_t slot)
{
    for (size_t i = 0; i < ev->nstream; i++)
        if (ev->stream[i].slot == slot)
            return &ev->stream[i];
    if (ev->nstream == EV_STREAMS)
        return NULL;
    ev->stream[ev->nstream] = (struct ev_stream){.slot = slot};
    return &ev->stream[ev->nstream++];
}

/* -- payloads -------------------------------------------------------------------------------------------------------------- */
static enum ev_kind kind_of(const char *name)
{
    static const char *const names[EV_KINDS] = {
        "", "device-added", "device-state", "crl-signed", "crl-published", "signature-unused", "tuf-signed", "firmware-offered",
        "cert-intent", "cert-issued", "cert-orphan", "cert-revoked"};
    for (int i = 1; i < EV_KINDS; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum ev_kind)i;
    return EV_OTHER;
}

static enum ev_state ev_state_parse(const char *name)
{
    static const char *const names[EV_STATES] = {"", "registered", "provisioned", "active", "suspended", "revoked", "decommissioned",
                                                  "quarantined"};
    for (int i = 1; i < EV_STATES; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum ev_state)i;
    return EV_NONE;
}

static void hex_prefix(const json_t *o, const char *key, uint8_t *out, size_t n)
{
    CLEANUP(buf_free) struct buf raw = BUF_INIT(64);
    memset(out, 0, n);
    if (!hex_decode(span_str(json_path_str(o, key, "")), &raw) && raw.len >= n)
        memcpy(out, raw.data, n);
}

static void take_signature(struct evidence *ev, enum ev_kind kind, int64_t index, int64_t at_ms, const json_t *o)
{
    struct ev_signature x = {.index = index, .at_ms = at_ms};
    x.counter = kind == EV_CERT_ORPHAN ? 0 : json_path_int(o, "counter", 0);
    if (kind != EV_CERT_ORPHAN && x.counter <= 0) { /* cradle init signs the first certificates, before there is a signer */
        if (ev->accounted || kind != EV_CERT_ISSUED)
            ev_bad(ev, CE_LOG_INCONSISTENT, index, "a signature of a CA's key has no number of the signer");
        return;
    }
    ev->accounted += kind != EV_CERT_ORPHAN;
    hex_prefix(o, "kid", x.kid, sizeof x.kid);
    hex_prefix(o, "run", x.run, sizeof x.run);
    ev->signature = grow(ev->signature, ev->nsignature, &ev->signature_cap, sizeof *ev->signature);
    ev->signature[ev->nsignature++] = x;
}

static void take_cert(struct evidence *ev, enum ev_kind kind, int64_t index, const json_t *o,
                      uint8_t key_out[EV_CERT_KEY])
{
    CLEANUP(buf_free) struct buf id = BUF_INIT(128);
    uint8_t hash[SHA256_LEN];
    const char *kid = json_path_str(o, "kid", ""), *serial = json_path_str(o, "serial", "");
    if (hex_decode(span_str(kid), &id) || hex_decode(span_str(serial), &id) || !*kid || !*serial) {
        ev_bad(ev, CE_LOG_INCONSISTENT, index, "the certificate event has no kid and serial number");
        return;
    }
    sha256(buf_span(&id), hash);
    memcpy(key_out, hash, EV_CERT_KEY);
    ev->cert = grow(ev->cert, ev->ncert, &ev->cert_cap, sizeof *ev->cert);
    struct ev_cert *x = &ev->cert[ev->ncert++];
    *x = (struct ev_cert){.kind = kind, .index = index, .status = json_path_int(o, "status", 0)};
    memcpy(x->key, hash, EV_CERT_KEY);
    hex_prefix(o, "spki", x->spki, sizeof x->spki);
}

static void take_payload(struct evidence *ev, const struct export_line *l, off_t offset)
{
    CLEANUP(json_decref_p) json_t *o = NULL;
    struct ev_device d = {.index = l->index, .offset = offset};
    int64_t at_ms = 0;
    if (json_parse(l->payload, &o, NULL) || !json_is_object(o) || !json_is_string(json_object_get(o, "kind")) ||
        !json_is_string(json_object_get(o, "at"))) {
        ev_bad(ev, CE_LOG_INCONSISTENT, l->index, "the payload is not a JSON object with kind and at");
        return;
    }
    d.kind = kind_of(json_path_str(o, "kind", ""));
    evidence_people_take(ev, l->index, json_path_str(o, "kind", ""), o);
    if (d.kind >= EV_CERT_INTENT)
        take_cert(ev, d.kind, l->index, o, d.cert);
    if (clock_parse_ms(span_str(json_path_str(o, "at", "")), &at_ms) == CE_OK && at_ms > ev->last_ms)
        ev->last_ms = at_ms;
    if (d.kind == EV_CERT_ISSUED || d.kind == EV_CERT_ORPHAN || d.kind == EV_CRL_SIGNED ||
        (d.kind == EV_CRL_PUBLISHED && json_object_get(o, "counter")) || /* of logs from before crl-signed */ d.kind == EV_SIGNATURE_UNUSED ||
        d.kind == EV_TUF_SIGNED || d.kind == EV_FIRMWARE_OFFERED)
        take_signature(ev, d.kind, l->index, at_ms, o);
    const char *uid = json_path_str(o, "device", "");
    if (!*uid)
        return;
    d.uid = arena_str(&ev->arena, span_str(uid));
    d.rev = json_path_int(o, "rev", 0);
    d.from = ev_state_parse(json_path_str(o, "from", ""));
    d.to = ev_state_parse(json_path_str(o, "to", ""));
    ev->device = grow(ev->device, ev->ndevice, &ev->device_cap, sizeof *ev->device);
    ev->device[ev->ndevice++] = d;
}

/* -- lines ------------------------------------------------------------------------------------------------------------------- */
static void take_leaf(struct evidence *ev, const struct export_line *l, off_t offset)
{
    if (l->index != (int64_t)ev->n)
        ev_bad(ev, CE_LOG_INCONSISTENT, (int64_t)ev->n, "leaf %lld stands where leaf %zu belongs: lines are missing or moved",
               (long long)l->index, ev->n);
    ev->leaf = grow(ev->leaf, ev->n, &ev->cap, sizeof *ev->leaf);
    merkle_leaf(span_of(l->entry, sizeof l->entry), &ev->leaf[ev->n++]);
    struct ev_stream *s = stream_of(ev, l->slot);
    if (!s) {
        ev_bad(ev, CE_LOG_INCONSISTENT, l->index, "there are more than %d streams", EV_STREAMS);
        return;
    }
    if (l->nseq != s->nseq + 1)
        ev_bad(ev, CE_LOG_INCONSISTENT, l->index, "stream %lld goes from event %lld to %lld: it must be dense", (long long)l->slot,
               (long long)s->nseq, (long long)l->nseq);
    s->nseq = l->nseq;
    if (l->erased)
        ev->erased++;
    else
        take_payload(ev, l, offset);
}

static void take_head(struct evidence *ev, const struct export_line *l)
{
    struct fault f = {0};
    struct span text, sigs;
    if (ev->has_head)
        ev_bad(ev, CE_LOG_INCONSISTENT, -1, "there are two checkpoints");
    ev->has_head = true;
    enum err e = checkpoint_open(&ev->key, l->note, &ev->head, &f);
    if (!e)
        return;
    ev_bad(ev, err_class(e) == ERRC_TRUST ? e : CE_LOG_INCONSISTENT, -1, "%s", f.text);
    if (note_split(l->note, &text, &sigs, &f) || checkpoint_parse(text, &ev->head, &f))
        ev->has_head = false;
}

static void take_line(struct evidence *ev, const struct export_line *l, off_t offset)
{
    if (ev->has_head)
        ev_bad(ev, CE_LOG_INCONSISTENT, -1, "there are lines after the checkpoint");
    switch (l->kind) {
    case EXPORT_HEADER:
        if (ev->has_header || ev->n)
            ev_bad(ev, CE_LOG_INCONSISTENT, -1, "the header is not the first line");
        ev->has_header = true;
        ev->declared = l->size;
        if (span_to_cstr(l->origin, ev->origin, sizeof ev->origin))
            ev_bad(ev, CE_LOG_INCONSISTENT, -1, "the origin in the header is malformed");
        return;
    case EXPORT_LEAF:
        take_leaf(ev, l, offset);
        return;
    case EXPORT_CHECKPOINT:
        take_head(ev, l);
        return;
    }
}

enum err evidence_read(struct evidence *ev, struct cli *c, const char *path, struct fault *f)
{
    CLEANUP(mem_free_p) char *text = NULL;
    size_t cap = 0;
    ssize_t len;
    off_t offset = 0;
    ev->file = fopen(path, "re");
    if (!ev->file)
        return fault_set(f, errno == ENOENT ? CE_NOT_FOUND : CE_IO, "cannot read %.150s: %s", path, strerror(errno));
    while ((len = getline(&text, &cap, ev->file)) >= 0) {
        struct arena a = {0};
        struct export_line l;
        struct fault why = {0};
        struct span line = span_of(text, (size_t)len);
        if (line.n && line.p[line.n - 1] == '\n')
            line.n--;
        if (export_line_parse(line, &a, &l, &why))
            ev_bad(ev, CE_LOG_INCONSISTENT, (int64_t)ev->n, "%s", why.text);
        else
            take_line(ev, &l, offset);
        arena_free(&a);
        offset += len;
        if (ev->n % 1024 == 0)
            cli_progress(c, "reading leaves", (int64_t)ev->n, ev->declared);
    }
    cli_progress_end(c);
    if (ferror(ev->file))
        return fault_set(f, CE_IO, "cannot read %.150s: %s", path, strerror(errno));
    return CE_OK;
}
