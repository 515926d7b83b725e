/* cradled.c: main of the server: command line, then the parent or one role. The work is elsewhere. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "role/link.h"
#include "role/manual.h"
#include "role/nginx.h"
#include "role/offline.h"
#include "role/parent.h"

static const char usage[] =
    "usage: cradled [-t | -T | -f | -m] [-c FILE | SITE]\n"
    "Runs the site in folder SITE (default: $CRADLE_SITE); its configuration is SITE/cradled.conf.\n"
    "  -c FILE  the configuration file; the site is the folder that it lies in\n"
    "  -t       check the configuration, also the one made for nginx, and exit\n"
    "  -T       print the effective configuration and exit\n"
    "  -f       check that the events in the database add up to its tables, and exit\n"
    "  -m       bring the database of a stopped service to this program's schema, and exit; twice: also drop what only older\n"
    "           programs read\n"
    "  -V       print the version and exit\n"
    "  -h       print this and exit\n";

struct command {
    char mode;        /* 0 run, t, T, f, m, M (-m twice) */
    const char *conf, *site, *role;
};

static int role_run(const char *name)
{
    static int (*const mains[ROLE_COUNT])(struct role_context *) = {
        [ROLE_FRONT] = role_front_main, [ROLE_CORE] = role_core_main, [ROLE_QUERY] = role_query_main, [ROLE_SIGNER] = role_signer_main,
        [ROLE_DEPOT] = role_depot_main, [ROLE_HSM] = role_hsm_main,
    };
    struct role_context c;
    struct settings s;
    struct fault f = { 0 };
    (void)name; /* for people who read ps; what counts is the parent's set-up */
    log_setup("role", LOG_LEVEL_INFO);
    if (role_receive(ROLE_PARENT_FD, &c, &s, &f)) {
        log_error(0, "%s; roles are started by cradled only", f.text);
        return 1;
    }
    log_setup(role_name(c.role), settings_log_level(&s));
    role_warm();
    return mains[c.role](&c);
}

/* Site and configuration as absolute paths. */
static enum err find_site(const struct command *cmd, char *site, char *conf, struct fault *f)
{
    const char *dir = cmd->site ? cmd->site : getenv("CRADLE_SITE");
    if (cmd->conf) {
        if (!realpath(cmd->conf, conf))
            return fault_set(f, CE_NOT_FOUND, "%s cannot be read; make a site with: cradle init DIR", cmd->conf);
        snprintf(site, PATH_MAX, "%s", conf);
        *strrchr(site, '/') = '\0';
        return CE_OK;
    }
    if (!dir || !*dir)
        return fault_set(f, CE_USAGE, "which site? give its folder, or -c FILE, or set $CRADLE_SITE");
    if (!realpath(dir, site) || strlen(site) + sizeof "/cradled.conf" > PATH_MAX)
        return fault_set(f, CE_NOT_FOUND, "%s is not there; make a site with: cradle init %s", dir, dir);
    memcpy(conf, site, strlen(site));
    memcpy(conf + strlen(site), "/cradled.conf", sizeof "/cradled.conf");
    return CE_OK;
}

static enum err check(const char *site, const char *conf, const struct settings *s, struct fault *f)
{
    struct parent *p = mem_calloc(1, sizeof *p);
    *p = (struct parent){ .site = site, .settings = *s };
    enum err e = nginx_check_site(site, f);
    if (!e)
        e = identity_check_config(site, conf, f);
    if (!e)
        e = identity_find(s->user, &p->user, f);
    if (!e)
        e = identity_check_site(&p->user, site, f);
    if (!e && settings_own_tls(s))
        e = tls_test(p, f);
    free(p);
    return e;
}

static int run(const struct command *cmd)
{
    char site[PATH_MAX] = "", conf[PATH_MAX] = "";
    struct settings s;
    struct fault f = { 0 };
    enum err e = find_site(cmd, site, conf, &f);
    if (!e)
        e = settings_load(conf, &s, &f);
    if (!e && cmd->mode == 'T') {
        CLEANUP(buf_free) struct buf out = BUF_INIT(0);
        config_dump(settings_keys, settings_nkeys, &s, true, &out);
        printf("%s", buf_cstr(&out));
    }
    if (!e && cmd->mode == 't')
        e = check(site, conf, &s, &f);
    if (!e && cmd->mode && strchr("fmM", cmd->mode))
        e = offline_run(cmd->mode, site, &s, &f);
    if (e)
        fprintf(stderr, "cradled: %s\n", f.text);
    else if (cmd->mode == 't')
        printf("cradled: %s is good\n", conf);
    return e ? err_exit(e) : cmd->mode ? 0 : parent_main(site, conf, &s);
}

static bool parse(int argc, char **argv, struct command *cmd)
{
    int opt;
    while ((opt = getopt(argc, argv, "c:tTfmx:")) != -1) {
        if (opt == 'c')
            cmd->conf = optarg;
        else if (opt == 'x')
            cmd->role = optarg;
        else if (opt == '?')
            return false;
        else
            cmd->mode = opt == 'm' && cmd->mode == 'm' ? 'M' : (char)opt;
    }
    if (optind < argc)
        cmd->site = argv[optind++];
    return optind == argc && !(cmd->conf && cmd->site);
}

int main(int argc, char **argv)
{
    struct command cmd = { 0 };
    if (argc == 2 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0))
        return fputs(usage, stdout) < 0;
    if (argc == 2 && (strcmp(argv[1], "-V") == 0 || strcmp(argv[1], "--version") == 0))
        return printf("cradled %s\n", CRADLE_VERSION) < 0;
    if (argc == 3 && strcmp(argv[1], "--man") == 0)
        return cradled_manual(argv[2]);
    if (!parse(argc, argv, &cmd)) {
        fputs(usage, stderr);
        return err_exit(CE_USAGE);
    }
    if (cmd.role) {
        fflush(NULL);
        _exit(role_run(cmd.role)); /* no exit handlers inside a jail */
    }
    return run(&cmd);
}
