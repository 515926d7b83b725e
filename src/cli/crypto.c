/* crypto.c: `cradle crypto inventory|devices`: which algorithms are in use, until when each is good by a policy, and which devices are in service for longer
 * than their cryptography: the plan of a migration. Counts come from the service; the judgement is made here. See crypto.h.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/name.h"
#include "cli/crypto.h"

#define LINES_MAX 64 /* --service-life LINE=DATE */

struct life { const char *line; size_t line_n; int64_t until; };
struct inventory {
    struct cli *c;
    struct crypto_policy policy;
    struct life life[LINES_MAX];
    int n_life;
    int64_t life_all;  /* 0: not given */
    json_t *site, *devices, *plan; /* owned */
};

static void inventory_end(struct inventory *v)
{
    json_decref(v->site);
    json_decref(v->devices);
    json_decref(v->plan);
}

static int64_t until_of(const struct inventory *v, const json_t *o)
{
    int64_t key = crypto_until(&v->policy, json_path_str(o, "key_alg", "")), sig = key;
    if (json_object_get(o, "sig_alg"))
        sig = crypto_until(&v->policy, json_path_str(o, "sig_alg", ""));
    return key < sig ? key : sig;
}

static void until_put(const struct inventory *v, json_t *o)
{
    char text[32];
    json_object_set_new(o, "good_until", json_string(crypto_date_text(until_of(v, o), text)));
}

/* -- the options ------------------------------------------------------------------------------------------------------------------ */
/* A date, or a span of time from now on. */
static bool life_end(const char *text, int64_t *until)
{
    int64_t span;
    if (crypto_date(text, until))
        return *until != CRYPTO_NEVER;
    if (clock_parse_span_s(span_str(text), &span))
        return false;
    *until = clock_now_s() + span;
    return true;
}

static enum err lives_read(struct inventory *v, struct fault *f)
{
    const char *text;
    for (int i = 0; (text = cli_opt_n(v->c, "--service-life", i)) != NULL; i++) {
        const char *eq = strchr(text, '=');
        int64_t until;
        if (!life_end(eq ? eq + 1 : text, &until) || eq == text)
            return fault_set(f, CE_USAGE, "--service-life is [LINE=]DATE or [LINE=]SPAN, such as 2041-06-30 or vib=15y, not '%.60s'", text);
        if (eq && v->n_life == LINES_MAX)
            return fault_set(f, CE_USAGE, "--service-life: at most %d lines", LINES_MAX);
        if (eq)
            v->life[v->n_life++] = (struct life){ text, (size_t)(eq - text), until };
        else
            v->life_all = until;
    }
    return CE_OK;
}

/* Until when are devices of this row in service: what --service-life says of the line, else what the line's setting says, else the support end of what they run,
 * else what was said for all. 0: nobody knows. *why names the source. */
static int64_t service_until(const struct inventory *v, const json_t *row, const char **why)
{
    const char *line = json_path_str(row, "line", "");
    int64_t until;
    *why = "option";
    for (int i = 0; i < v->n_life; i++)
        if (strlen(line) == v->life[i].line_n && memcmp(line, v->life[i].line, v->life[i].line_n) == 0)
            return v->life[i].until;
    *why = "line";
    if (crypto_date(json_path_str(row, "service_until", ""), &until) && until != CRYPTO_NEVER)
        return until;
    *why = "release";
    if (crypto_date(json_path_str(row, "support_end", ""), &until) && until != CRYPTO_NEVER)
        return until;
    *why = v->life_all ? "all" : "unknown";
    return v->life_all;
}

/* -- making it ---------------------------------------------------------------------------------------------------------------------- */
static void site_take(struct inventory *v, const json_t *answer)
{
    size_t i;
    json_t *o;
    char what[80];
    v->site = json_array();
    json_array_foreach(json_object_get(answer, "cas"), i, o) {
        snprintf(what, sizeof what, "CA %.64s", json_path_str(o, "name", ""));
        json_t *row = json_deep_copy(o);
        json_object_del(row, "name");
        json_object_set_new(row, "what", json_string(what));
        json_array_append_new(v->site, row);
    }
    json_t *own = crypto_site_keys(v->c);
    json_array_extend(v->site, own);
    json_decref(own);
    json_array_foreach(v->site, i, o)
        until_put(v, o);
}

static bool same(const json_t *a, const json_t *b, const char *key)
{
    return strcmp(json_path_str(a, key, ""), json_path_str(b, key, "")) == 0;
}

/* One row a key and signature algorithm over all lines and months: how many devices, and when the last of their certificates ends. */
static void devices_take(struct inventory *v, const json_t *answer)
{
    size_t i, k;
    json_t *o, *row;
    v->devices = json_array();
    json_array_foreach(json_object_get(answer, "devices"), i, o) {
        json_t *to = NULL;
        json_array_foreach(v->devices, k, row)
            if (same(row, o, "key_alg") && same(row, o, "sig_alg"))
                to = row;
        if (!to) {
            to = json_pack("{s:s,s:s,s:I,s:s}", "key_alg", json_path_str(o, "key_alg", ""), "sig_alg", json_path_str(o, "sig_alg", ""), "devices", (json_int_t)0,
                           "last_ends", "");
            json_array_append_new(v->devices, to);
            until_put(v, to);
        }
        json_object_set_new(to, "devices", json_integer(json_path_int(to, "devices", 0) + json_path_int(o, "devices", 0)));
        if (strcmp(json_path_str(o, "ends", ""), json_path_str(to, "last_ends", "")) > 0)
            json_object_set(to, "last_ends", json_object_get(o, "ends"));
    }
}

static void plan_take(struct inventory *v, const json_t *answer)
{
    size_t i;
    json_t *o;
    char text[32];
    v->plan = json_array();
    json_array_foreach(json_object_get(answer, "service"), i, o) {
        const char *why;
        int64_t until = until_of(v, o), service = service_until(v, o, &why);
        if (service && service <= until)
            continue;
        json_t *row = json_deep_copy(o);
        json_object_del(row, "support_end");
        json_object_del(row, "service_until");
        if (service)
            json_object_set_new(row, "service_until", json_string(crypto_date_text(service, text)));
        json_object_set_new(row, "service_by", json_string(why));
        until_put(v, row);
        if (service || until != CRYPTO_NEVER)
            json_array_append_new(v->plan, row);
        else
            json_decref(row);
    }
}

/* -- the devices of a row of the plan ------------------------------------------------------------------------------------------------ */
#define DEVICES_PAGE 500
static enum err names_take(struct inventory *v, json_t *row, int64_t *left, struct fault *f)
{
    CLEANUP(buf_free) struct buf q = BUF_INIT(512);
    CLEANUP(json_decref_p) json_t *items = json_array();
    json_t *uids = json_array(), *o;
    char *next = NULL;
    size_t i;
    query_add(&q, "alg", json_path_str(row, "key_alg", ""));
    query_add(&q, "line", json_path_str(row, "line", ""));
    const struct list l = { .path = "/api/v1/crypto/devices", .query = buf_span(&q) };
    enum err e;
    do {
        json_array_clear(items);
        e = cli_list_page(v->c, &l, DEVICES_PAGE, items, &next, f);
        json_array_foreach(items, i, o)
            if (*left > 0 && same(o, row, "release") && same(o, row, "sig_alg")) {
                json_array_append(uids, json_object_get(o, "uid"));
                --*left;
            }
    } while (!e && next && *left > 0);
    free(next);
    json_object_set_new(row, "uids", uids);
    return e;
}

static enum err names_all(struct inventory *v, struct fault *f)
{
    int64_t left = 0;
    size_t i;
    json_t *row;
    enum err e = cli_opt_int(v->c, "--limit", 1000, 1, 100000000, &left, f);
    json_array_foreach(v->plan, i, row)
        if (!e && left > 0 && json_object_get(row, "service_until"))
            e = names_take(v, row, &left, f);
    return e;
}

/* -- telling it ------------------------------------------------------------------------------------------------------------------------- */
static void names_print(const json_t *row)
{
    size_t i;
    json_t *uid;
    json_array_foreach(json_object_get(row, "uids"), i, uid) {
        fputs("  ", stdout);
        cli_put_safe(json_string_value(uid), 64);
        putchar('\n');
    }
}

static void plan_print(const struct inventory *v)
{
    static const struct column cols[] = {
        { "LINE", "line", 4, NULL }, { "RELEASE", "release", 7, NULL }, { "KEY", "key_alg", 8, NULL }, { "SIGNATURE", "sig_alg", 9, NULL }, { "DEVICES", "devices", 7, NULL },
        { "IN SERVICE UNTIL", "service_until", 16, NULL }, { "GOOD UNTIL", "good_until", 10, NULL },
    };
    CLEANUP(json_decref_p) json_t *late = json_array(), *unknown = json_array();
    int64_t n = 0, n_unknown = 0;
    size_t i;
    json_t *row;
    json_array_foreach(v->plan, i, row) {
        bool known = json_object_get(row, "service_until") != NULL;
        *(known ? &n : &n_unknown) += json_path_int(row, "devices", 0);
        json_array_append(known ? late : unknown, row);
    }
    if (n) {
        printf("\n%lld devices are in service for longer than their cryptography is good:\n", (long long)n);
        cli_table(v->c, late, cols, ARRAY_LEN(cols));
        json_array_foreach(late, i, row)
            names_print(row);
        printf("Give them keys of another kind before: add it to key_algs of the profile, let the devices make one, and renew.\n");
    } else {
        printf("\nNo device is known to be in service for longer than its cryptography is good.\n");
    }
    if (n_unknown) {
        printf("\nNobody says how long these %lld devices are in service (give --service-life, or a release with a support end):\n", (long long)n_unknown);
        cli_table(v->c, unknown, cols, ARRAY_LEN(cols) - 2);
    }
}

static void inventory_print(const struct inventory *v)
{
    static const struct column site[] = { { "OF THE SITE", "what", 18, NULL }, { "KEY", "key_alg", 10, NULL }, { "SIGNED WITH", "sig_alg", 12, NULL },
                                          { "ENDS", "not_after", 20, NULL },   { "GOOD UNTIL", "good_until", 10, NULL } };
    static const struct column devices[] = { { "OF DEVICES", "key_alg", 18, NULL }, { "SIGNED WITH", "sig_alg", 12, NULL }, { "DEVICES", "devices", 7, NULL },
                                             { "LAST ENDS", "last_ends", 9, NULL }, { "GOOD UNTIL", "good_until", 10, NULL } };
    cli_table(v->c, v->site, site, ARRAY_LEN(site));
    putchar('\n');
    if (json_array_size(v->devices))
        cli_table(v->c, v->devices, devices, ARRAY_LEN(devices));
    else
        puts("No device has a certificate yet.");
    plan_print(v);
}

static enum err inventory_run(struct cli *c, struct fault *f)
{
    CLEANUP(inventory_end) struct inventory v = { .c = c };
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(json_decref_p) json_t *answer = NULL;
    enum err e = crypto_policy_load(cli_opt(c, "--policy"), &v.policy, f);
    e = e ? e : lives_read(&v, f);
    e = e ? e : cli_call(c, "GET", "/api/v1/crypto", (struct span){ 0 }, &r, f);
    e = e ? e : cli_json(&r, &answer, f);
    if (e)
        return e;
    site_take(&v, answer);
    devices_take(&v, answer);
    plan_take(&v, answer);
    e = cli_flag(c, "--devices") ? names_all(&v, f) : CE_OK;
    if (e)
        return e;
    if (c->json) {
        CLEANUP(json_decref_p) json_t *o = json_pack("{s:O,s:O,s:O}", "site", v.site, "devices", v.devices, "plan", v.plan);
        cli_print_json(o);
    } else if (!c->quiet) {
        inventory_print(&v);
    }
    return CE_OK;
}
static const struct verb_opt inventory_opts[] = {
    { "--policy", "FILE", "until when each kind of key is good (docs/crypto.md); default: RSA below 3072 bits 2030, all classical keys 2035", false },
    { "--service-life", "[LINE=]END", "devices (of this line) are in service until this date, or for so long from now on", true },
    { "--devices", NULL, "name the devices of the plan", false },
    { "--limit", "N", "with --devices: at most so many names (default 1000)", false },
};
const struct verb verb_crypto_inventory = {
    .name = "crypto inventory", .args = "", .help = "show which algorithms are in use, and which devices are in service for longer than theirs are good",
    .text = "A device counts with the newest certificate that it was given, unless that was revoked. It is in service until what --service-life or the setting of its line "
            "says (cradle line set LINE --service-until DATE), or until the support of the release that it runs ends.",
    .example = "cradle crypto inventory\ncradle crypto inventory --service-life vib=2041-06-30 --devices --json", VERB_OPTS(inventory_opts), .run = inventory_run,
};

static enum err devices_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = { { "UID", "uid", 16, NULL }, { "LINE", "line", 6, NULL }, { "RELEASE", "release", 7, NULL }, { "SIGNED WITH", "sig_alg", 12, NULL },
                                          { "ENDS", "not_after", 20, NULL } };
    CLEANUP(buf_free) struct buf q = BUF_INIT(512);
    query_add(&q, "alg", c->args[0]);
    query_add(&q, "line", cli_opt(c, "--line"));
    struct list l = { .path = "/api/v1/crypto/devices", .query = buf_span(&q), .cols = cols, .ncols = ARRAY_LEN(cols), .empty = "No device has such a key." };
    return cli_list(c, &l, f);
}
static const struct verb_opt devices_opts[] = {
    { "--line", "LINE", "of this product line only", false },
    { "--limit", "ROWS", "stop after so many rows (default 1000)", false },
    { "--after", "CURSOR", "go on after the cursor that the page before ended with", false },
};
const struct verb verb_crypto_devices = {
    .name = "crypto devices", .args = "ALG", .min_args = 1, .max_args = 1, .help = "list the devices whose key is of one kind",
    .text = "ALG is one of ec:P-256, ec:P-384, ed25519, rsa:BITS, ml-dsa-44, ml-dsa-65, ml-dsa-87.",
    .example = "cradle crypto devices ec:P-256 --line vib --json", VERB_OPTS(devices_opts), .run = devices_run,
};
