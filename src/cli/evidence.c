/* evidence.c: `cradle evidence export|verify|proof`: the log as a file that anybody can check, and the checking of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/evidence.h"

#define EXPORT_PAGE 500
#define EXPORT_AWAIT_MS 3000

/* The log's public key: the option, or the site's. */
static enum err key_read(struct cli *c, struct note_key *k, struct fault *f)
{
    char path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf b = BUF_INIT(4096);
    const char *given = cli_opt(c, "--log-key");
    if (given && strlen(given) >= PATH_MAX_LEN - 1)
        return fault_set(f, CE_USAGE, "--log-key: the path is too long");
    if (given) {
        path_join(path, "%s", given);
    } else {
        enum err e = cli_site(c, f);
        if (e || !c->site[0])
            return fault_set(f, CE_USAGE, "--log-key FILE is needed: the public key of the log (trust/log.pub of the site)");
        path_join(path, "%.400s/trust/log.pub", c->site);
    }
    enum err e = file_read(path, &b);
    if (e)
        return fault_set(f, e, "cannot read the log's key %.180s: %s", path, strerror(errno));
    return note_key_parse(buf_span(&b), k, f);
}

/* -- export ------------------------------------------------------------------------------------------------------------------ */
struct export_job {
    FILE *out;
    int64_t size, have;
    struct buf note;
};

static enum err put(FILE *out, struct buf *line, struct fault *f)
{
    if (buf_err(line) || fwrite(line->data, 1, line->len, out) != line->len)
        return fault_set(f, CE_IO, "cannot write the export: %s", strerror(errno));
    buf_reset(line);
    return CE_OK;
}

/* The first page fixes which tree is exported; leaves beyond it belong to the next export. */
static enum err take_page(struct export_job *x, const json_t *o, struct fault *f)
{
    CLEANUP(buf_free) struct buf line = BUF_INIT(4 * EXPORT_LINE_MAX);
    size_t i;
    json_t *item, *items = json_object_get(o, "items");
    enum err e = CE_OK;
    if (x->size < 0) {
        const char *origin = json_path_str(o, "origin", ""), *note = json_path_str(o, "checkpoint", "");
        x->size = json_path_int(o, "size", 0);
        buf_put_str(&x->note, note);
        export_header_put(&line, span_str(origin), x->size);
        e = put(x->out, &line, f);
    }
    json_array_foreach(items, i, item)
    {
        struct arena a = {0};
        struct export_line l;
        char *text = json_dumps(item, JSON_COMPACT);
        if (!e && x->have < x->size) {
            e = export_line_parse(span_str(text), &a, &l, f);
            if (!e && (l.kind != EXPORT_LEAF || l.index != x->have))
                e = fault_set(f, CE_BAD_EXPORT, "the server sent leaf %lld instead of %lld", (long long)l.index, (long long)x->have);
            if (!e) {
                export_leaf_put(&line, &l);
                e = put(x->out, &line, f);
                x->have++;
            }
        }
        arena_free(&a);
        free(text);
    }
    if (!e && x->have < x->size && json_array_size(items) == 0)
        return fault_set(f, CE_BAD_EXPORT, "the server sent %lld of %lld leaves and no more", (long long)x->have, (long long)x->size);
    return e;
}

static enum err export_pages(struct cli *c, struct export_job *x, struct fault *f)
{
    while (x->size < 0 || x->have < x->size) {
        char path[128];
        CLEANUP(net_reply_free) struct net_reply r = {0};
        CLEANUP(json_decref_p) json_t *o = NULL;
        snprintf(path, sizeof path, "/api/v1/evidence/export?limit=%d", EXPORT_PAGE);
        if (x->have)
            snprintf(path, sizeof path, "/api/v1/evidence/export?limit=%d&after=%lld", EXPORT_PAGE, (long long)(x->have - 1));
        enum err e = cli_call(c, "GET", path, (struct span){0}, &r, f);
        e = e ? e : cli_json(&r, &o, f);
        e = e ? e : take_page(x, o, f);
        if (e)
            return e;
        cli_progress(c, "leaves", x->have, x->size);
    }
    cli_progress_end(c);
    CLEANUP(buf_free) struct buf line = BUF_INIT(4 * NOTE_MAX);
    export_checkpoint_put(&line, buf_span(&x->note));
    return put(x->out, &line, f);
}

static void export_job_free(struct export_job *x)
{
    buf_free(&x->note);
}

/* What was done a moment ago is to be in the export: waits until the published checkpoint covers every event that there is now. A site whose checkpoints are
 * rarer, or whose disk is full, is told of and not waited for. */
static enum err export_await(struct cli *c, struct fault *f)
{
    const int64_t end_ms = clock_mono_ms() + EXPORT_AWAIT_MS;
    int64_t want = -1, covered = 0;
    do {
        CLEANUP(net_reply_free) struct net_reply r = {0};
        CLEANUP(json_decref_p) json_t *o = NULL;
        if (want >= 0)
            usleep(50000);
        enum err e = cli_call(c, "GET", "/api/v1/status", (struct span){0}, &r, f);
        e = e ? e : cli_json(&r, &o, f);
        if (e)
            return e;
        want = want < 0 ? json_path_int(o, "nseq", 0) : want;
        covered = json_path_int(o, "counters.log_published_size", 0);
    } while (covered < want && clock_mono_ms() < end_ms);
    if (covered < want)
        fprintf(stderr, "cradle evidence export: note: the newest %lld events have no checkpoint yet; they belong to the next export\n", (long long)(want - covered));
    return CE_OK;
}

static enum err export_run(struct cli *c, struct fault *f)
{
    char tmp[PATH_MAX_LEN];
    const char *path = c->args[0];
    bool to_stdout = strcmp(path, "-") == 0;
    CLEANUP(export_job_free) struct export_job x = {.size = -1, .note = BUF_INIT(NOTE_MAX)};
    if (strlen(path) > PATH_MAX_LEN - 32)
        return fault_set(f, CE_USAGE, "the file's path is too long");
    path_join(tmp, "%s.tmp-%ld", path, (long)getpid());
    x.out = to_stdout ? stdout : fopen(tmp, "wxe");
    if (!x.out)
        return fault_set(f, CE_IO, "cannot make %.180s: %s", tmp, strerror(errno));
    enum err e = export_await(c, f);
    e = e ? e : export_pages(c, &x, f);
    bool written = fflush(x.out) == 0 && (to_stdout || fsync(fileno(x.out)) == 0);
    written &= to_stdout || fclose(x.out) == 0;
    if (!e && (!written || (!to_stdout && rename(tmp, path))))
        e = fault_set(f, CE_IO, "cannot write %.180s: %s", path, strerror(errno));
    if (e && !to_stdout)
        unlink(tmp);
    if (!e && !to_stdout && c->json)
        printf("{\"size\":%lld}\n", (long long)x.size);
    if (!e && !to_stdout)
        cli_say(c, "exported %lld leaves to %s; check it anywhere with: cradle evidence verify %s --log-key log.pub", (long long)x.size,
                path, path);
    return e;
}

/* -- verify --------------------------------------------------------------------------------------------------------------------- */
static enum err since_read(struct cli *c, struct evidence *ev, struct fault *f)
{
    CLEANUP(buf_free) struct buf note = BUF_INIT(NOTE_MAX);
    const char *path = cli_opt(c, "--since");
    if (!path)
        return CE_OK;
    enum err e = file_read(path, &note);
    if (e)
        return fault_set(f, e, "cannot read the older checkpoint %.160s: %s", path, strerror(errno));
    ev->has_since = true;
    return checkpoint_open(&ev->key, buf_span(&note), &ev->since, f);
}

static enum err verify_run(struct cli *c, struct fault *f)
{
    CLEANUP(evidence_free) struct evidence ev = {.declared = -1};
    enum err e = key_read(c, &ev.key, f);
    e = e ? e : since_read(c, &ev, f);
    e = e ? e : evidence_read(&ev, c, c->args[0], f);
    if (e)
        return e;
    evidence_judge(&ev);
    e = evidence_print(&ev, c, cli_opt(c, "--device"), f);
    if (!ev.bad)
        return e;
    for (size_t i = 0; i < ev.nfinding; i++)
        if (ev.finding[i].bad)
            return fault_set(f, ev.worst, "%zu finding%s in %.60s; the first: %.160s", ev.bad, ev.bad == 1 ? "" : "s", c->args[0], ev.finding[i].text);
    return ev.worst;
}

/* -- proof ---------------------------------------------------------------------------------------------------------------------------- */
static enum err hash_text(const char *text, struct merkle_hash *out)
{
    CLEANUP(buf_free) struct buf raw = BUF_INIT(64);
    if (hex_decode(span_str(text), &raw) || raw.len != MERKLE_HASH)
        return CE_BAD_PROOF;
    memcpy(out->b, raw.data, MERKLE_HASH);
    return CE_OK;
}

/* What the server says is judged before it is printed: path, leaf and root must fit, and the log must have signed the root. */
static enum err proof_judge(struct cli *c, const json_t *o, struct fault *f)
{
    struct note_key k;
    struct checkpoint head;
    struct merkle_proof p = {0};
    struct merkle_hash leaf, root;
    size_t i;
    json_t *h;
    enum err e = key_read(c, &k, f);
    e = e ? e : checkpoint_open(&k, span_str(json_path_str(o, "checkpoint", "")), &head, f);
    if (e)
        return e;
    e = hash_text(json_path_str(o, "leaf", ""), &leaf);
    e = e ? e : hash_text(json_path_str(o, "root", ""), &root);
    json_array_foreach(json_object_get(o, "path"), i, h) {
        if (!e)
            e = p.n < MERKLE_PROOF_MAX ? hash_text(json_string_value(h) ? json_string_value(h) : "", &p.h[p.n++]) : CE_BAD_PROOF;
    }
    if (!e && (!merkle_eq(&root, &head.root) || json_path_int(o, "size", -1) != (int64_t)head.size ||
               json_path_int(o, "index", -1) != strtoll(c->args[0], NULL, 10)))
        e = CE_BAD_PROOF;
    e = e ? e : merkle_inclusion_verify(&leaf, (uint64_t)json_path_int(o, "index", 0), head.size, &p, &head.root);
    return e ? fault_set(f, CE_BAD_PROOF, "the proof that the server sent for leaf %.20s does not verify", c->args[0]) : CE_OK;
}

static void proof_print(const json_t *o)
{
    size_t i;
    json_t *h;
    struct span note = span_str(json_path_str(o, "checkpoint", "")), text;
    printf("# entry %s (leaf hash = SHA-256 of byte 0 and the entry)\n", json_path_str(o, "entry", "-"));
    while (span_cut(&note, '\n', &text))
        printf("# " SPAN_FMT "\n", SPAN_ARG(text));
    printf("inclusion %lld %lld %s %s", (long long)json_path_int(o, "index", -1), (long long)json_path_int(o, "size", -1),
           json_path_str(o, "leaf", "-"), json_path_str(o, "root", "-"));
    json_array_foreach(json_object_get(o, "path"), i, h) printf(" %s", json_string_value(h));
    putchar('\n');
}

static enum err proof_run(struct cli *c, struct fault *f)
{
    char path[128];
    int64_t index;
    CLEANUP(net_reply_free) struct net_reply r = {0};
    CLEANUP(json_decref_p) json_t *o = NULL;
    if (!span_to_i64(span_str(c->args[0]), &index) || index < 0)
        return fault_set(f, CE_USAGE, "INDEX is the number of a leaf, from 0 (timelines and exports name it)");
    snprintf(path, sizeof path, "/api/v1/evidence/proof?index=%lld", (long long)index);
    enum err e = cli_call(c, "GET", path, (struct span){0}, &r, f);
    e = e ? e : cli_json(&r, &o, f);
    e = e ? e : proof_judge(c, o, f);
    if (e)
        return e;
    if (c->json)
        cli_print_json(o);
    else
        proof_print(o);
    return CE_OK;
}

/* -- the verbs ------------------------------------------------------------------------------------------------------------------------- */
#define KEY_OPT                                                                                                                            \
    {                                                                                                                                      \
        "--log-key", "FILE", "the log's public key; default: the site's trust/log.pub", false                                              \
    }
static const struct verb_opt verify_opts[] = {
    KEY_OPT,
    {"--since", "FILE", "an older checkpoint that the log must continue", false},
    {"--device", "UID", "print this device's timeline only", false},
};
static const struct verb_opt proof_opts[] = {KEY_OPT};

const struct verb verb_evidence_export = {
    .name = "evidence export",
    .args = "FILE",
    .min_args = 1,
    .max_args = 1,
    .help = "write the whole evidence log into a file",
    .text = "The export is text, a line of JSON a leaf, so that jq and sha256sum can check it too. FILE - is the standard output.",
    .example = "cradle evidence export log.jsonl",
    .run = export_run,
};
const struct verb verb_evidence_verify = {
    .name = "evidence verify",
    .args = "FILE",
    .min_args = 1,
    .max_args = 1,
    .help = "check an export offline and print the devices' timelines",
    .text = "Needs nothing but the export and the log's public key: every leaf is hashed again, the root and its signature are checked, "
            "then what "
            "the events say: dense streams, allowed changes of state, an intent for every certificate. Exit code 7 when anything does not "
            "hold.",
    .example =
        "cradle evidence verify log.jsonl --log-key log.pub --since checkpoint.old\ncradle evidence verify log.jsonl --device pump-0001",
    VERB_OPTS(verify_opts),
    .run = verify_run,
};
const struct verb verb_evidence_proof = {
    .name = "evidence proof",
    .args = "INDEX",
    .min_args = 1,
    .max_args = 1,
    .help = "print the inclusion proof of a leaf",
    .text = "Prints one line: inclusion INDEX SIZE LEAFHASH ROOT and the path of RFC 9162 2.1.3, for any verifier of RFC 6962 trees.",
    .example = "cradle evidence proof 17",
    VERB_OPTS(proof_opts),
    .run = proof_run,
};
