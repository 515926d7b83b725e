/* agent.c: the settings of cradle-agent. See agent.h. */
#include "agent/agent.h"

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
    return e;
}
