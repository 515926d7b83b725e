/* broker_config.c: `cradle broker config`: writes a mosquitto.conf in which nobody is let in past the plugin. With --out it makes a folder
 * that holds all that the broker needs, readable by the broker's user; without, the text alone, naming the site's own files.
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/broker_conf.h"
#include "cli/cli.h"

struct broker_plan {
    char out[PATH_MAX_LEN];     /* "": text on stdout */
    char bundle[PATH_MAX_LEN], device[PATH_MAX_LEN], infra[PATH_MAX_LEN], pub[PATH_MAX_LEN];
    char cert[PATH_MAX_LEN], key[PATH_MAX_LEN], plugin[PATH_MAX_LEN], edge_dir[PATH_MAX_LEN];
    char user[64];
    int64_t port;
};

static const struct {
    const char *from, *to; /* in the site; in the broker's folder */
    mode_t mode;
    size_t at;             /* the plan's path that names it */
} files[] = {
    { "ca/bundle.pem", "bundle.pem", 0644, offsetof(struct broker_plan, bundle) },
    { "ca/device.pem", "device.pem", 0644, offsetof(struct broker_plan, device) },
    { "ca/infra.pem", "infra.pem", 0644, offsetof(struct broker_plan, infra) },
    { "trust/stream.pub", "stream.pub", 0644, offsetof(struct broker_plan, pub) },
    { "tls/server.pem", "server.pem", 0644, offsetof(struct broker_plan, cert) },
    { "tls/server.key", "server.key", 0600, offsetof(struct broker_plan, key) },
};

static void absolute(char *out, const char *path)
{
    char cwd[PATH_MAX_LEN];
    if (path[0] == '/' || !getcwd(cwd, sizeof cwd))
        path_join(out, "%s", path);
    else
        path_join(out, "%s/%s", cwd, path);
}

/* The plugin beside this program (a build tree), or where the package puts it. */
static void plugin_default(char *out)
{
    char self[PATH_MAX_LEN - 32];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    path_join(out, "/usr/lib/cradle/cradle_mosquitto.so");
    if (n <= 0)
        return;
    self[n] = 0;
    char *slash = strrchr(self, '/');
    char beside[PATH_MAX_LEN];
    path_join(beside, "%.*s/cradle_mosquitto.so", (int)(slash - self), self);
    if (file_exists(beside))
        path_join(out, "%s", beside);
}

static enum err plan_read(struct cli *c, struct broker_plan *p, struct fault *f)
{
    char text[64] = "";
    int64_t https = 8443;
    enum err e = cli_site(c, f);
    if (!e && !c->site[0])
        e = fault_set(f, CE_USAGE, "this needs the site's folder: --site DIR");
    if (!e)
        e = site_conf_get(c->site, "https_port", text, sizeof text, f);
    if (e)
        return e;
    if (text[0])
        (void)span_to_i64(span_str(text), &https);
    e = cli_opt_int(c, "--port", https + 2 <= 65535 ? https + 2 : 8883, 1, 65535, &p->port, f);
    if (e)
        return e;
    char site[PATH_MAX_LEN];
    absolute(site, c->site);
    if (strlen(site) > 300 || strlen(cli_opt_or(c, "--out", "")) > 300 || strlen(cli_opt_or(c, "--edge-dir", "")) > 200)
        return fault_set(f, CE_USAGE, "a path is too long");
    if (cli_opt(c, "--out"))
        absolute(p->out, cli_opt(c, "--out"));
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char *path = (char *)p + files[i].at;
        if (p->out[0])
            path_join(path, "%s/%s", p->out, files[i].to);
        else
            path_join(path, "%s/%s", site, files[i].from);
    }
    if (cli_opt(c, "--edge-dir"))
        absolute(p->edge_dir, cli_opt(c, "--edge-dir"));
    else
        path_join(p->edge_dir, "%s/edge", site);
    if (cli_opt(c, "--plugin"))
        absolute(p->plugin, cli_opt(c, "--plugin"));
    else
        plugin_default(p->plugin);
    snprintf(p->user, sizeof p->user, "%s", cli_opt_or(c, "--user", geteuid() == 0 ? "mosquitto" : ""));
    return CE_OK;
}

static void config_text(const struct broker_plan *p, struct buf *b)
{
    buf_printf(b, "# mosquitto.conf, written by `cradle broker config`. Check changes with: cradle broker lint FILE\n"
                  "# The plugin owns every identity: common name = user name = client id. Leave out use_identity_as_username,\n"
                  "# password_file, crlfile, other plugins: each of them lets somebody in or out past it.\n"
                  "# Who may use which topic is not said here: cradle line set, cradle backend add. Is it allowed? cradle broker can\n\n"
                  "per_listener_settings false\n"
                  "allow_anonymous false\n\n"
                  "plugin %s\n"
                  "plugin_opt_snapshot_dir %s\n"
                  "plugin_opt_stream_pub %s\n"
                  "plugin_opt_device_ca %s\n"
                  "plugin_opt_backend_ca %s\n"
                  "# sessions without a keepalive would never end when their line does; see clone_overlap in cradled.conf(5)\n"
                  "plugin_opt_keepalive_max 1200\n", p->plugin, p->edge_dir, p->pub, p->device, p->infra);
    buf_printf(b, "\n# TLS 1.2 and 1.3; every client shows a certificate of this site\n"
                  "listener %lld\n"
                  "cafile %s\n"
                  "certfile %s\n"
                  "keyfile %s\n"
                  "require_certificate true\n\n", (long long)p->port, p->bundle, p->cert, p->key);
    if (p->user[0])
        buf_printf(b, "user %s\n", p->user);
    buf_printf(b, "max_queued_messages 1000\npersistent_client_expiration 14d\nset_tcp_nodelay true\n");
    if (p->out[0])
        buf_printf(b, "persistence true\npersistence_location %s/data/\n", p->out);
    else
        buf_printf(b, "# sessions do not survive a restart of the broker; with --out DIR they do\npersistence false\n");
    buf_printf(b, "log_dest stderr\nlog_type error\nlog_type warning\nlog_type notice\nconnection_messages true\n");
}

static enum err own(const char *path, const struct passwd *pw, struct fault *f)
{
    if (pw && geteuid() == 0 && chown(path, pw->pw_uid, pw->pw_gid))
        return fault_set(f, CE_IO, "%s: cannot be given to %s: %s", path, pw->pw_name, strerror(errno));
    return CE_OK;
}

static enum err folder_write(struct cli *c, const struct broker_plan *p, struct span text, struct fault *f)
{
    char path[PATH_MAX_LEN], from[PATH_MAX_LEN];
    const struct passwd *pw = p->user[0] ? getpwnam(p->user) : NULL;
    if (p->user[0] && !pw)
        return fault_set(f, CE_NOT_FOUND, "there is no user %s on this host; name the broker's user with --user", p->user);
    path_join(path, "%s/data", p->out);
    enum err e = file_mkdirs(path, 0755);
    if (!e && chmod(path, 0700))
        e = CE_IO;
    if (e)
        return fault_set(f, e, "%s: cannot be made: %s", path, strerror(errno));
    e = own(path, pw, f);
    for (size_t i = 0; i < ARRAY_LEN(files) && !e; i++) {
        CLEANUP(buf_free) struct buf bytes = BUF_INIT(1 << 20);
        const char *to = (const char *)p + files[i].at;
        path_join(from, "%s/%s", c->site, files[i].from);
        e = file_read(from, &bytes);
        if (!e)
            e = file_write_atomic(to, buf_span(&bytes), files[i].mode);
        e = e ? fault_set(f, e, "%s -> %s: %s", from, to, strerror(errno)) : own(to, pw, f);
    }
    path_join(path, "%s/mosquitto.conf", p->out);
    if (!e && (e = file_write_atomic(path, text, 0644)))
        fault_set(f, e, "%s: %s", path, strerror(errno));
    if (!e)
        cli_say(c, "wrote %s (port %lld)\nstart the sidecar first, then: mosquitto -c %s", path, (long long)p->port, path);
    return e;
}

static enum err config_run(struct cli *c, struct fault *f)
{
    struct broker_plan p = { 0 };
    CLEANUP(buf_free) struct buf text = BUF_INIT(65536);
    enum err e = plan_read(c, &p, f);
    if (e)
        return e;
    config_text(&p, &text);
    if (p.out[0])
        return folder_write(c, &p, buf_span(&text), f);
    fputs(buf_cstr(&text), stdout);
    return CE_OK;
}

static const struct verb_opt config_opts[] = {
    { "--port", "N", "port of the TLS listener (default: the site's https port + 2)", false },
    { "--edge-dir", "DIR", "folder in which cradle-edge keeps the snapshot (default: SITE/edge)", false },
    { "--out", "DIR", "make DIR with mosquitto.conf and copies of all that the broker reads", false },
    { "--user", "NAME", "the broker's user (default: mosquitto when you are root)", false },
    { "--plugin", "FILE", "where cradle_mosquitto.so is", false },
};

const struct verb verb_broker_config = {
    .name = "broker config",
    .args = "",
    .help = "write a mosquitto.conf that lets nobody past the plugin",
    .text = "Prints the configuration, or with --out makes a folder for the broker. The broker uses the site's TLS server certificate.",
    .example = "cradle broker config --out /etc/cradle/broker --edge-dir /var/lib/cradle-edge",
    VERB_OPTS(config_opts),
    .run = config_run,
};
