/* edge_add.c: `cradle edge add NAME`: an identity of role edge and a folder with everything that cradle-edge needs on its host. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/operator.h"

#define FILE_MAX 65536

enum err folder_put(const char *dir, const char *name, struct span bytes, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s", dir, name);
    enum err e = file_write_atomic(path, bytes, 0644);
    return e ? fault_set(f, e, "cannot write %s: %s", path, strerror(errno)) : CE_OK;
}

enum err folder_copy(const struct cli *c, const char *from, const char *dir, const char *to, struct fault *f)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(FILE_MAX);
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s", c->site, from);
    enum err e = file_read(path, &b);
    return e ? fault_set(f, e, "cannot read %s: %s", path, strerror(errno)) : folder_put(dir, to, buf_span(&b), f);
}

static enum err copy_trust(const struct cli *c, const char *dir, struct fault *f)
{
    static const struct { const char *from, *to; } rows[] = {
        { "ca/bundle.pem", "bundle.pem" }, { "trust/stream.pub", "stream.pub" }, { "trust/log.pub", "log.pub" },
        { "ca/device.pem", "device.pem" },
    };
    enum err e = CE_OK;
    for (size_t i = 0; !e && i < ARRAY_LEN(rows); i++)
        e = folder_copy(c, rows[i].from, dir, rows[i].to, f);
    return e;
}

static enum err write_conf(const struct cli *c, const char *dir, struct fault *f)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(FILE_MAX);
    CLEANUP(mem_free_p) char *here = realpath(dir, NULL);
    const char *at = cli_opt_or(c, "--install-dir", here ? here : dir);
    const char *state = cli_opt(c, "--state-dir");
    buf_printf(&b, "# edge.conf: made by cradle edge add %s. All keys: cradle-edge -T, cradle-edge(8).\n\n", c->args[0]);
    buf_printf(&b, "# cradled, tried in turn when there are several (separated by spaces).\nurls = %s\n\n", c->net_cfg.base);
    buf_printf(&b, "# Whom we trust, and who we are. Change the folder when these files move.\nca = %s/bundle.pem\ncert = %s/edge.pem\n"
                   "key = %s/edge.key\nstream_pub = %s/stream.pub\nauthz_ca = %s/device.pem\n\n", at, at, at, at, at);
    buf_printf(&b, "# The revocation snapshot that the broker's plugin maps, and the socket that it reports to.\nstate_dir = ");
    if (state)
        buf_printf(&b, "%s\n", state);
    else
        buf_printf(&b, "%s/state\n", at);
    buf_put_str(&b, "\n# The group of the broker, which reads that folder and writes to that socket. Without it only our own user can.\n"
                    "# report_group = mosquitto\n");
    return folder_put(dir, "edge.conf", buf_span(&b), f);
}

static enum err edge_run(struct cli *c, struct fault *f)
{
    char key[PATH_MAX_LEN], pem[PATH_MAX_LEN], dir[PATH_MAX_LEN];
    const char *out = cli_opt_or(c, "--out", c->args[0]);
    struct operator_new n = { .name = c->args[0], .role = "edge", .out = out, .file = "edge" };
    if (strlen(out) > 300 || strlen(cli_opt_or(c, "--install-dir", "")) > 150 || strlen(cli_opt_or(c, "--state-dir", "")) > 180)
        return fault_set(f, CE_USAGE, "the path is too long");
    enum err e = cli_site(c, f);
    if (e || (e = operator_make(c, &n, key, pem, f)))
        return e;
    path_join(dir, "%s", out);
    if ((e = copy_trust(c, dir, f)) || (e = write_conf(c, dir, f)))
        return e;
    if (!cli_opt(c, "--state-dir") && !cli_opt(c, "--install-dir")) {
        char state[PATH_MAX_LEN];
        path_join(state, "%s/state", out);
        /* what lies there is signed, not secret; the files that are not for everybody have modes of their own */
        if ((e = file_mkdirs(state, 0755)))
            return fault_set(f, e, "cannot make %s: %s", state, strerror(errno));
    }
    if (c->json) {
        CLEANUP(json_decref_p) json_t *o = json_pack("{s:s,s:s,s:s,s:s}", "name", n.name, "role", n.role, "dir", dir, "key", key);
        cli_print_json(o);
    }
    cli_say(c, "added edge %s; its folder is %s: bring it to the broker's host and start: cradle-edge -c %s/edge.conf", c->args[0], dir,
            cli_opt_or(c, "--install-dir", dir));
    return CE_OK;
}

static const struct verb_opt opts[] = {
    { "--out", "DIR", "the folder to make (default ./NAME)", false },
    { "--install-dir", "DIR", "where the folder will be on the edge's host, for the paths in edge.conf (default: where it is made)", false },
    { "--state-dir", "DIR", "where the edge keeps its snapshot (default: state/ in its folder)", false },
};
const struct verb verb_edge_add = {
    .name = "edge add", .args = "NAME", .min_args = 1, .max_args = 1, .help = "add an edge: identity and configuration for one broker host",
    .text = "Makes a folder with edge.key (0600), edge.pem, bundle.pem, device.pem, stream.pub, log.pub and edge.conf. Works on the server's machine, where the site's folder is.",
    .example = "cradle edge add broker-1 --out /etc/cradle-edge", VERB_OPTS(opts), .run = edge_run,
};
