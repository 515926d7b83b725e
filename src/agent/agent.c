/* agent.c: the settings of cradle-agent. See agent.h. */
#include "agent/agent.h"

#include "agent/key.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/name.h"

const struct config_key agent_keys[] = {
#define CFG(...) CONFIG_ROW(agent_config, __VA_ARGS__)
#include "agent/agent.def"
#undef CFG
};
const size_t agent_nkeys = ARRAY_LEN(agent_keys);

static enum err check_file(const char *key, const char *path, struct fault *f)
{
    if (*path && !file_exists(path))
        return fault_set(f, CE_BAD_CONFIG, "%s: there is no file %s", key, path);
    return CE_OK;
}

/* A reset erases nothing that it must keep: this program's own state goes by its own rules. */
static enum err check_reset_paths(const struct agent_config *cfg, struct fault *f)
{
    struct span rest = span_str(cfg->reset_paths), one;
    while (span_cut(&rest, ' ', &one)) {
        while (one.n > 1 && one.p[one.n - 1] == '/')
            one.n--;
        if (!one.n)
            continue;
        if (one.p[0] != '/' || one.n < 2)
            return fault_set(f, CE_BAD_CONFIG, "reset_paths: '" SPAN_FMT "' is not the full path of a file or folder", SPAN_ARG(one));
        const char *const kept[] = { cfg->state_dir, cfg->update_dir, cfg->enroll_cert, cfg->enroll_key, cfg->idevid_cert, cfg->idevid_key, cfg->ca_file };
        for (size_t i = 0; i < ARRAY_LEN(kept); i++)
            if (strlen(kept[i]) >= one.n && memcmp(kept[i], one.p, one.n) == 0 && (kept[i][one.n] == '/' || !kept[i][one.n]))
                return fault_set(f, CE_BAD_CONFIG, "reset_paths: '" SPAN_FMT "' holds %s, which a reset keeps", SPAN_ARG(one), kept[i]);
    }
    return CE_OK;
}

static enum err check_update(const struct agent_config *cfg, struct fault *f)
{
    if (!cfg->update_poll_s)
        return CE_OK;
    if (!*cfg->line || !*cfg->model)
        return fault_set(f, CE_BAD_CONFIG, "updates (update_poll_s) need line and model");
    if (!*cfg->version_file && !*cfg->version_command)
        return fault_set(f, CE_BAD_CONFIG, "updates (update_poll_s) need version_file or version_command: only what runs is confirmed");
    if (!*cfg->update_url && !*cfg->est_url)
        return fault_set(f, CE_BAD_CONFIG, "updates (update_poll_s) need update_url or est_url");
    if (*cfg->update_url && strncmp(cfg->update_url, "https://", 8) != 0)
        return fault_set(f, CE_BAD_CONFIG, "update_url must begin with https://");
    return CE_OK;
}

enum err agent_config_load(const char *path, struct agent_config *cfg, struct fault *f)
{
    enum err e = config_load(agent_keys, agent_nkeys, path, cfg, f);
    if (!e && (e = name_check_uid(span_str(cfg->uid), f)))
        return fault_set(f, CE_BAD_CONFIG, "uid: a UID is 1 to 64 characters of A-Z a-z 0-9 . _ - :");
    if (!e && *cfg->est_url && strncmp(cfg->est_url, "https://", 8) != 0)
        return fault_set(f, CE_BAD_CONFIG, "est_url must begin with https://");
    if (!e && (*cfg->est_url || *cfg->broker_host) && !*cfg->ca_file)
        return fault_set(f, CE_BAD_CONFIG, "ca_file is needed to verify the server and the broker");
    if (!e)
        e = check_file("ca_file", cfg->ca_file, f);
    if (!e)
        e = check_file("enroll_cert", cfg->enroll_cert, f);
    if (!e)
        e = check_file("enroll_key", cfg->enroll_key, f);
    e = e ? e : check_file("idevid_cert", cfg->idevid_cert, f);
    e = e ? e : check_file("idevid_key", cfg->idevid_key, f);
    e = e ? e : key_check_config(cfg, f);
    e = e ? e : check_update(cfg, f);
    e = e ? e : check_reset_paths(cfg, f);
    return e;
}
