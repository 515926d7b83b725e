/* anchor_crl.c: `cradle anchor crl`: a maker's revocation list for its initial device identities (IDevIDs), from a file. The anchors themselves: anchor.c. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/name.h"
#include "cli/cli.h"
#include "crypt/pem.h"

static enum err crl_path(const char *line, const char *sha256, char out[200], struct fault *f)
{
    snprintf(out, 200, "/api/v1/lines/%.64s/anchors%s%.64s%s", line, sha256 ? "/" : "", sha256 ? sha256 : "", sha256 ? "/crl" : "");
    return name_check_label("line", span_str(line), f);
}
#define CRL_FILE_MAX 65536
#define CRL_DER_MAX 45056 /* of MSG_ANCHOR_CRL */

static enum err crl_read(const char *path, struct buf *der, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(CRL_FILE_MAX);
    enum err e = file_read(path, &text);
    if (e == CE_TOO_LARGE)
        return fault_set(f, e, "%s: a list has %d bytes at most here", path, CRL_DER_MAX);
    if (e)
        return fault_set(f, e, "%s cannot be read: %s", path, err_text(e));
    if (text.len && text.data[0] == 0x30)
        buf_put_span(der, buf_span(&text));
    else if (pem_decode(buf_span(&text), "X509 CRL", 0, der))
        return fault_set(f, CE_BAD_CERT, "%s: no X509 CRL block in PEM, and no DER", path);
    return der->len > CRL_DER_MAX ? fault_set(f, CE_TOO_LARGE, "%s: a list has %d bytes at most here", path, CRL_DER_MAX) : buf_err(der);
}

/* The anchor that is meant: named, or the line's only one. */
static enum err anchor_only(struct cli *c, const char *line, const char *given, char out[65], struct fault *f)
{
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(json_decref_p) json_t *list = NULL;
    char path[200];
    if (given && strlen(given) != 64)
        return fault_set(f, CE_USAGE, "an anchor is named by the SHA-256 of its certificate, 64 hexadecimal digits: cradle anchor list %s", line);
    snprintf(out, 65, "%s", given ? given : "");
    if (given)
        return CE_OK;
    enum err e = crl_path(line, NULL, path, f);
    e = e ? e : cli_call(c, "GET", path, span_of(NULL, 0), &r, f);
    e = e ? e : cli_json(&r, &list, f);
    if (e)
        return e;
    const json_t *items = json_object_get(list, "items");
    if (json_array_size(items) != 1)
        return fault_set(f, CE_USAGE, "line %s has %zu anchors: name one with --anchor SHA256 (cradle anchor list %s)", line, json_array_size(items), line);
    snprintf(out, 65, "%s", json_path_str(json_array_get(items, 0), "sha256", ""));
    return CE_OK;
}

static enum err crl_run(struct cli *c, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CRL_FILE_MAX);
    CLEANUP(json_decref_p) json_t *o = json_object(), *answer = NULL;
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    char path[200], sha256[65];
    enum err e = crl_read(c->args[1], &der, f);
    e = e ? e : anchor_only(c, c->args[0], cli_opt(c, "--anchor"), sha256, f);
    e = e ? e : json_set_text(o, "stale", cli_opt(c, "--stale"), f);
    e = e ? e : json_set_text(o, "note", cli_opt(c, "--note"), f);
    if (e)
        return e;
    CLEANUP(buf_free) struct buf text = BUF_INIT(0);
    buf_put_base64(&text, buf_span(&der), 0);
    json_object_set_new(o, "crl", json_stringn((const char *)text.data, text.len));
    e = crl_path(c->args[0], sha256, path, f);
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    e = e ? e : cli_call(c, "POST", path, span_str(body), &r, f);
    if (e || c->json)
        return e ? e : cli_print_reply(&r, f);
    if ((e = cli_json(&r, &answer, f)))
        return e;
    cli_say(c, "line %s knows list %lld of this maker: %lld certificates are revoked and enroll nothing", c->args[0], (long long)json_path_int(answer, "number", 0),
            (long long)json_path_int(answer, "entries", 0));
    cli_say(c, "it is good until %.10s; after that IDevIDs of this maker are %s: bring the next one before", json_path_str(answer, "next_update", ""),
            strcmp(json_path_str(answer, "stale", ""), "warn") == 0 ? "taken, with a warning in cradle status" : "refused");
    return CE_OK;
}
static const struct verb_opt crl_opts[] = {
    { "--anchor", "SHA256", "which anchor of the line, when it has more than one", false },
    { "--stale", "refuse|warn", "what happens after the list's nextUpdate (default refuse)", false },
    { "--note", "TEXT", "why, in your words; becomes evidence", false },
};
const struct verb verb_anchor_crl = {
    .name = "anchor crl", .args = "LINE FILE", .min_args = 2, .max_args = 2, .help = "bring a maker's revocation list, PEM or DER",
    .text = "The list is verified under the anchor: it is signed by the anchor or by one of its intermediates. IDevIDs on it, and those of a CA on it, enroll nothing from then on; devices that have "
            "enrolled keep their certificates. Each CA of a maker has its newest list here; an older one is refused. Nothing is fetched: bring the next one in time.",
    .example = "cradle anchor crl pump maker.crl\ncradle anchor crl pump maker.crl --stale warn", VERB_OPTS(crl_opts), .run = crl_run,
};
