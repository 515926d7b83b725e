/* opts.c: the plugin's options. */
#include "plugin/opts.h"

#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"

static const struct config_key keys[] = {
#define CFG(...) CONFIG_ROW(plugin_config, __VA_ARGS__)
#include "plugin/plugin.def"
#undef CFG
};

void opts_defaults(struct opts *o)
{
    struct fault f;
    *o = (struct opts){ 0 };
    enum err e = config_parse(keys, ARRAY_LEN(keys), "plugin_opt", (struct span){ 0 }, &o->cfg, &f);
    INVARIANT(!e);
}

enum err opts_set(struct opts *o, const char *key, const char *value, struct fault *f)
{
    struct fault why;
    enum err e = config_set(keys, ARRAY_LEN(keys), span_str(key), span_str(value), &o->cfg, &why);
    return e ? fault_set(f, CE_BAD_CONFIG, "plugin_opt_%s: %s", key, why.text) : CE_OK;
}

static enum err load_cas(const char *list, uint8_t (*kids)[JUDGE_KID], int *n, struct fault *f)
{
    struct span rest = span_str(list), one;
    char path[PATH_MAX_LEN];
    enum err e = CE_OK;
    while (!e && span_cut(&rest, ',', &one)) {
        one = span_trim(one);
        if (one.n) {
            e = span_to_cstr(one, path, sizeof path);
            e = e ? fault_set(f, e, "a CA's file name is too long") : judge_trust_ca(path, kids, n, f);
        }
    }
    return e;
}

enum err opts_load(struct opts *o, struct fault *f)
{
    struct plugin_config *c = &o->cfg;
    enum err e = snap_read_pub(c->stream_pub, o->pub, f);
    if (!e)
        e = load_cas(c->device_ca, o->trust.device_ca, &o->trust.n_device_ca, f);
    if (!e)
        e = load_cas(c->backend_ca, o->trust.backend_ca, &o->trust.n_backend_ca, f);
    if (!e && c->refuse_after < c->alarm_after)
        e = fault_set(f, CE_BAD_CONFIG, "plugin_opt_refuse_after is shorter than plugin_opt_alarm_after");
    if (!e && !c->report_socket[0])
        snprintf(c->report_socket, sizeof c->report_socket, "%.200s/report.sock", c->snapshot_dir);
    return e;
}
