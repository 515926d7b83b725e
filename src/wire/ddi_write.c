/* ddi_write.c: what hawkBit clients are given. See ddi.h. */
#include <stdio.h>

#include "base/json.h"
#include "wire/ddi.h"

/* {"NAME":{"href":"https://HOST/TENANT/controller/v1/UID/PATH[/N]"}}. The number is last: Zephyr reads it there, and asks for NAME/N. */
static void link_put(struct json_out *j, const struct ddi_site *s, const char *name, int64_t n)
{
    CLEANUP(buf_free) struct buf url = BUF_INIT(1024);
    buf_printf(&url, SPAN_FMT "/" SPAN_FMT "/controller/v1/" SPAN_FMT "/%s", SPAN_ARG(s->url), SPAN_ARG(s->tenant), SPAN_ARG(s->uid), name);
    if (n)
        buf_printf(&url, "/%lld", (long long)n);
    json_obj(j, name);
    json_str(j, "href", buf_span(&url));
    json_obj_end(j);
}

void ddi_base_write(const struct ddi_site *s, int64_t sleep_s, int64_t deploy, int64_t cancel, bool config, struct buf *out)
{
    struct json_out j = JSON_OUT(out);
    char sleep[32];
    int64_t t = sleep_s < 1 ? 1 : sleep_s > DDI_SLEEP_MAX ? DDI_SLEEP_MAX : sleep_s;
    snprintf(sleep, sizeof sleep, "%02d:%02d:%02d", (int)(t / 3600), (int)(t / 60 % 60), (int)(t % 60));
    json_obj(&j, NULL);
    json_obj(&j, "config");
    json_obj(&j, "polling");
    json_cstr(&j, "sleep", sleep);
    json_obj_end(&j);
    json_obj_end(&j);
    json_obj(&j, "_links");
    if (cancel)
        link_put(&j, s, "cancelAction", cancel);
    else if (deploy)
        link_put(&j, s, "deploymentBase", deploy);
    if (config)
        link_put(&j, s, "configData", 0);
    json_obj_end(&j);
    json_obj_end(&j);
}

static void id_put(struct json_out *j, const char *key, int64_t id)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)id);
    json_cstr(j, key, text);
}

static void href_put(struct json_out *j, const char *key, struct span url)
{
    json_obj(j, key);
    json_str(j, "href", url);
    json_obj_end(j);
}

static void artifact_put(struct json_out *j, const struct ddi_deployment *d)
{
    json_obj(j, NULL);
    json_str(j, "filename", d->filename);
    json_obj(j, "hashes");
    json_hex(j, "sha1", d->sha1);
    if (d->md5.n)
        json_hex(j, "md5", d->md5);
    json_hex(j, "sha256", d->sha256);
    json_obj_end(j);
    json_int(j, "size", d->size);
    json_obj(j, "_links");
    href_put(j, "download", d->url);
    href_put(j, "download-http", d->url); /* Zephyr knows this name only, and takes the path of it */
    json_obj_end(j);
    json_obj_end(j);
}

void ddi_deployment_write(const struct ddi_deployment *d, struct buf *out)
{
    struct json_out j = JSON_OUT(out);
    json_obj(&j, NULL);
    id_put(&j, "id", d->id);
    json_obj(&j, "deployment");
    json_cstr(&j, "download", d->forced ? "forced" : "attempt");
    json_cstr(&j, "update", d->forced ? "forced" : "attempt"); /* never "skip": SWUpdate reports that as a success */
    json_arr(&j, "chunks");
    json_obj(&j, NULL);
    json_cstr(&j, "part", "bApp");
    json_str(&j, "version", d->version);
    json_str(&j, "name", d->name);
    json_arr(&j, "artifacts");
    artifact_put(&j, d);
    json_arr_end(&j);
    json_obj_end(&j);
    json_arr_end(&j);
    json_obj_end(&j);
    json_obj_end(&j);
}

void ddi_cancel_write(int64_t id, struct buf *out)
{
    struct json_out j = JSON_OUT(out);
    json_obj(&j, NULL);
    id_put(&j, "id", id);
    json_obj(&j, "cancelAction");
    id_put(&j, "stopId", id);
    json_obj_end(&j);
    json_obj_end(&j);
}
