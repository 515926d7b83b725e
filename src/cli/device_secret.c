/* device_secret.c: `cradle device secret`: a one-time secret by which a device enrolls for the first time (CMP). Shown once, stored nowhere here. */
#include <string.h>

#include "base/mem.h"
#include "cli/device.h"

static enum err secret_run(struct cli *c, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024);
    CLEANUP(json_decref_p) json_t *o = json_object(), *answer = NULL;
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    int64_t ttl_s = 0;
    enum err e = cli_opt_span_s(c, "--ttl", 0, &ttl_s, f);
    e = e ? e : device_path(c->args[0], "/secret", &path, f);
    e = e ? e : json_set_text(o, "note", cli_opt(c, "--note"), f);
    if (e)
        return e;
    if (ttl_s)
        json_object_set_new(o, "ttl_s", json_integer(ttl_s));
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    if ((e = cli_call(c, "POST", buf_cstr(&path), span_str(body), &r, f)))
        return e;
    if (c->json)
        return cli_print_reply(&r, f);
    if ((e = cli_json(&r, &answer, f)))
        return e;
    const char *ref = json_string_value(json_object_get(answer, "reference")), *secret = json_string_value(json_object_get(answer, "secret"));
    const char *until = json_string_value(json_object_get(answer, "expires_at"));
    if (!ref || !secret || !until)
        return fault_set(f, CE_INTERNAL, "the answer has no secret");
    printf("reference  %s\nsecret     %s\n", ref, secret);
    cli_say(c, "good for one enrollment of %s until %s, and not shown again; an older one is void. Next, on the device:\n"
               "openssl cmp -cmd ir -server HOST:PORT -path .well-known/cmp -ref %s -secret file:SECRET_FILE -newkey KEY -subject /CN=%s -certout CERT",
            c->args[0], until, ref, c->args[0]);
    return CE_OK;
}

static const struct verb_opt secret_opts[] = {
    { "--ttl", "TIME", "how long it may be used (default 24h, at most 90d)", false },
    { "--note", "TEXT", "why, in your words; becomes evidence", false },
};
const struct verb verb_device_secret = {
    .name = "device secret", .args = "UID", .min_args = 1, .max_args = 1, .help = "make a one-time secret by which a device enrolls itself by CMP",
    .text = "The product line must allow it: cradle line set LINE --cmp-secret yes. The device must be registered and not active yet. Five wrong tries "
            "lock the secret; using it, or making another, ends it.",
    .example = "cradle device secret pump-0001 --ttl 2h", VERB_OPTS(secret_opts), .run = secret_run,
};
