/* enroll.c: `cradle enroll list|show|approve|refuse`: first enrollments that wait for somebody's approval (cradle line set LINE
 * --enroll-approval yes). Core judges; here a request is only found by its key or by its device.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"

#define KEY_DIGITS 64

static enum err list_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = {
        { "DEVICE", "uid", 12, NULL }, { "LINE", "line", 0, NULL }, { "STATE", "state", 8, NULL }, { "ASKED BY", "asked_by", 0, NULL },
        { "ASKED AT", "asked_at", 20, NULL }, { "UNTIL", "until_at", 20, NULL }, { "KEY", "spki", KEY_DIGITS, NULL },
    };
    CLEANUP(buf_free) struct buf q = BUF_INIT(1024);
    const char *state = cli_opt_or(c, "--state", "waiting");
    query_add(&q, "state", strcmp(state, "any") == 0 ? NULL : state);
    query_add(&q, "line", cli_opt(c, "--line"));
    query_add(&q, "device", cli_opt(c, "--device"));
    struct list l = { .path = "/api/v1/enrollments", .query = buf_span(&q), .cols = cols, .ncols = ARRAY_LEN(cols),
                      .empty = "No enrollment is in that state; lines ask for approvals after: cradle line set LINE --enroll-approval yes" };
    return cli_list(c, &l, f);
}
static const struct verb_opt list_opts[] = {
    { "--state", "STATE", "waiting (default), approved, refused, expired, done or any", false },
    { "--line", "LINE", "of this product line", false },
    { "--device", "UID", "of this device", false },
    { "--limit", "ROWS", "stop after so many rows (default 1000)", false },
    { "--after", "CURSOR", "go on after the cursor that the page before ended with", false },
};
const struct verb verb_enroll_list = {
    .name = "enroll list", .args = "", .help = "list first enrollments that wait for an approval", .example = "cradle enroll list --line pump",
    VERB_OPTS(list_opts), .run = list_run,
};

/* -- which request ---------------------------------------------------------------------------------------------------------------- */
static bool is_key(const char *s) { return strlen(s) == KEY_DIGITS && strspn(s, "0123456789abcdefABCDEF") == KEY_DIGITS; }

/* A UID stands for the one key of that device that waits. */
static enum err key_find(struct cli *c, const char *state, char key[KEY_DIGITS + 1], struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(json_decref_p) json_t *o = NULL;
    if (is_key(c->args[0])) {
        memcpy(key, c->args[0], KEY_DIGITS + 1);
        return CE_OK;
    }
    buf_printf(&path, "/api/v1/enrollments?%s%s%sdevice=", state ? "state=" : "", state ? state : "", state ? "&" : "");
    net_escape(&path, span_str(c->args[0]));
    enum err e = cli_call(c, "GET", buf_cstr(&path), (struct span){ 0 }, &r, f);
    e = e ? e : cli_json(&r, &o, f);
    if (e)
        return e;
    const json_t *items = json_object_get(o, "items");
    const char *found = json_path_str(json_array_get(items, 0), "spki", "");
    if (json_array_size(items) > 1)
        return fault_set(f, CE_BAD_FIELD, "several keys of %s %s: name one by its SHA-256 (cradle enroll list --device %s --state any)", c->args[0],
                         state ? "wait" : "were asked for", c->args[0]);
    if (!is_key(found))
        return fault_set(f, CE_NOT_FOUND, "no key of %s %s: cradle enroll list --device %s --state any", c->args[0], state ? "waits" : "was asked for", c->args[0]);
    memcpy(key, found, KEY_DIGITS + 1);
    return CE_OK;
}

static enum err show_run(struct cli *c, struct fault *f)
{
    static const char *const rows[][2] = {
        { "device", "uid" }, { "line", "line" }, { "state", "state" }, { "key (SHA-256)", "spki" }, { "key type", "key_alg" }, { "protocol", "proto" },
        { "asked by", "asked_by" }, { "from", "addr" }, { "asked at", "asked_at" }, { "until", "until_at" }, { "decided by", "by" }, { "why", "note" },
    };
    char key[KEY_DIGITS + 1], path[128];
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(json_decref_p) json_t *o = NULL;
    struct json_text t;
    enum err e = key_find(c, NULL, key, f);
    snprintf(path, sizeof path, "/api/v1/enrollments/%s", e ? "" : key);
    e = e ? e : cli_call(c, "GET", path, (struct span){ 0 }, &r, f);
    e = e ? e : cli_json(&r, &o, f);
    if (e || c->json)
        return e ? e : cli_print_reply(&r, f);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        printf("%-14s  ", rows[i][0]);
        cli_put_safe(json_path_text(o, rows[i][1], &t), 4096);
        putchar('\n');
    }
    return CE_OK;
}
#define WHICH "the SHA-256 of its public key (openssl pkey -pubout -outform DER | sha256sum, or cradle enroll list) or the device's UID, when one key of it is meant"
const struct verb verb_enroll_show = {
    .name = "enroll show", .args = "KEY|UID", .min_args = 1, .max_args = 1, .help = "show one request for a first enrollment",
    .text = "The request is named by " WHICH ".", .example = "cradle enroll show P-1", .run = show_run,
};

/* -- decisions ---------------------------------------------------------------------------------------------------------------------- */
static enum err decide(struct cli *c, const char *move, const char *from_state, struct fault *f)
{
    char key[KEY_DIGITS + 1], path[128];
    CLEANUP(json_decref_p) json_t *o = json_object(), *answer = NULL;
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    enum err e = json_set_text(o, "note", cli_opt(c, "--note"), f);
    e = e ? e : key_find(c, from_state, key, f);
    if (e)
        return e;
    snprintf(path, sizeof path, "/api/v1/enrollments/%s/%s", key, move);
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    e = cli_call(c, "POST", path, span_str(body), &r, f);
    e = e ? e : cli_json(&r, &answer, f);
    if (e || c->json)
        return e ? e : cli_print_reply(&r, f);
    if (move[0] == 'a')
        cli_say(c, "approved the enrollment of %s: its next request with this key gets the certificate", json_path_str(answer, "uid", c->args[0]));
    else
        cli_say(c, "refused the enrollment of %s: this key gets no certificate; to change your mind: cradle enroll approve %s",
                json_path_str(answer, "uid", c->args[0]), key);
    return CE_OK;
}
static enum err approve_run(struct cli *c, struct fault *f) { return decide(c, "approve", "waiting", f); }
static enum err refuse_run(struct cli *c, struct fault *f)
{
    if (!cli_opt(c, "--note"))
        return fault_set(f, CE_USAGE, "a refusal says why: --note TEXT; who asked is told");
    return decide(c, "refuse", "waiting", f);
}
static const struct verb_opt approve_opts[] = { { "--note", "TEXT", "why, in your words; becomes evidence", false } };
static const struct verb_opt refuse_opts[] = { { "--note", "TEXT", "why; becomes evidence, and who asked is told", false } };
const struct verb verb_enroll_approve = {
    .name = "enroll approve", .args = "KEY|UID", .min_args = 1, .max_args = 1, .help = "let a device that waits have its certificate",
    .text = "The request is named by " WHICH ". Compare the key with what the device or the station shows before you approve. The approval is good for one "
            "certificate, and for as long as enroll_wait says.",
    .example = "cradle enroll approve P-1 --note 'checked on the line'", VERB_OPTS(approve_opts), .run = approve_run,
};
const struct verb verb_enroll_refuse = {
    .name = "enroll refuse", .args = "KEY|UID", .min_args = 1, .max_args = 1, .help = "refuse the first enrollment of a key, also after it was approved",
    .text = "The request is named by " WHICH ".", .example = "cradle enroll refuse P-1 --note 'not one of ours'", VERB_OPTS(refuse_opts), .run = refuse_run,
};
