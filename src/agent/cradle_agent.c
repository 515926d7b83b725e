/* cradle_agent.c: the command line of the device's daemon: a table of verbs. What they do is in run.c, identity.c and enroll.c. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/enroll.h"
#include "agent/manual.h"
#include "agent/run.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

/* One a process; large because of its outbox. */
static struct agent agent = { .telemetry_fd = -1, .lock_fd = -1 };
static char **agent_argv;

static int fail(enum err e, const struct fault *f)
{
    fprintf(stderr, "cradle-agent: %s (%s)\n", f->text, err_reason(e));
    return err_exit(e);
}

static int verb_run(const char *arg)
{
    struct fault f = { 0 };
    (void)arg;
    enum err e = agent_open(&agent, &f);
    if (e)
        return fail(e, &f);
    agent_loop(&agent);
    for (int i = 0; agent.restart && agent.link && i < 20; i++) /* let the answer to "reset" leave */
        link_work(agent.link, true, true), usleep(10000);
    agent_close(&agent);
    if (!agent.restart)
        return 0;
    log_info(0, "%s resets", agent.cfg.uid);
    if (*agent.cfg.reset_command)
        execl("/bin/sh", "sh", "-c", agent.cfg.reset_command, (char *)NULL);
    else
        execv("/proc/self/exe", agent_argv);
    fprintf(stderr, "cradle-agent: cannot reset: %s\n", strerror(errno));
    return 1;
}

static int verb_settle(bool renew)
{
    struct fault f = { 0 };
    enum err e = agent_open(&agent, &f);
    if (!e)
        e = agent_settle(&agent, renew, 60000, &f);
    agent_close(&agent);
    if (e)
        return fail(e, &f);
    printf("%s holds a valid certificate%s\n", agent.cfg.uid, renew ? ", renewed just now" : "");
    return 0;
}

static int verb_enroll(const char *arg)
{
    (void)arg;
    return verb_settle(false);
}

static int verb_renew(const char *arg)
{
    char path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf text = BUF_INIT(64);
    struct fault f = { 0 };
    (void)arg;
    enum err e = agent_open(&agent, &f);
    agent_close(&agent);
    if (e != CE_EXISTS)
        return e ? fail(e, &f) : verb_settle(true);
    path_join(path, "%s/lock", agent.cfg.state_dir);
    int64_t pid = 0;
    if (file_read(path, &text) || !span_to_i64(span_trim(buf_span(&text)), &pid) || pid <= 1 || kill((pid_t)pid, SIGUSR1))
        return fail(e, &f);
    printf("told the running agent (pid %lld) to renew now\n", (long long)pid);
    return 0;
}

static int verb_csr(const char *arg)
{
    struct fault f = { 0 };
    char key[PATH_MAX_LEN];
    uint8_t der[CRADLE_CSR_MAX];
    size_t len = sizeof der;
    CLEANUP(devkey_free) struct devkey k = { 0 };
    CLEANUP(buf_free) struct buf pem = BUF_INIT(4096);
    (void)arg;
    enum err e = agent_open(&agent, &f);
    e = e ? e : agent_key(&agent, &f);
    creds_key_path(&agent.creds, CREDS_CURRENT, key);
    if (!e)
        e = devkey_load(key, &k, &f);
    if (!e)
        e = enroll_csr(&agent.cfg, &k, der, &len, &f);
    agent_close(&agent);
    if (e)
        return fail(e, &f);
    buf_put_base64(&pem, span_of(der, len), 64);
    printf("-----BEGIN CERTIFICATE REQUEST-----\n%s-----END CERTIFICATE REQUEST-----\n", buf_cstr(&pem));
    return 0;
}

static int verb_import(const char *arg)
{
    struct fault f = { 0 };
    CLEANUP(buf_free) struct buf text = BUF_INIT(65536);
    enum err e = arg ? file_read(arg, &text) : fault_set(&f, CE_USAGE, "import needs the file that the station made");
    if (e && arg)
        fault_set(&f, e, "cannot read %s", arg);
    if (!e)
        e = agent_open(&agent, &f);
    if (!e)
        e = enroll_import(&agent.cfg, &agent.creds, buf_span(&text), &f);
    agent_close(&agent);
    if (e)
        return fail(e, &f);
    printf("%s is enrolled; start cradle-agent run\n", agent.cfg.uid);
    return 0;
}

static int verb_report(const char *arg)
{
    struct fault f = { 0 };
    CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
    (void)arg;
    agent.started_ms = clock_mono_ms();
    path_join(agent.creds.dir, "%s", agent.cfg.state_dir);
    command_report(&agent, span_of(NULL, 0), &out);
    if (buf_err(&out))
        return fail(fault_set(&f, buf_err(&out), "the report is too large"), &f);
    puts(buf_cstr(&out));
    return 0;
}

static int verb_config(const char *arg)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    (void)arg;
    config_dump(agent_keys, agent_nkeys, &agent.cfg, true, &out);
    fputs(buf_cstr(&out), stdout);
    return 0;
}

static const struct agent_verb verbs[] = {
    { "run", verb_run, "the daemon: enroll, connect, renew, publish, take commands (SIGUSR1: renew now)" },
    { "enroll", verb_enroll, "make the key if needed, enroll once, end" },
    { "renew", verb_renew, "renew now; tells a running agent to do it" },
    { "csr", verb_csr, "print the certification request for a factory station" },
    { "import", verb_import, "store the certificate that a station made (PEM or PKCS#7): import FILE" },
    { "report", verb_report, "print what this identity is, as JSON" },
    { "config", verb_config, "print the effective configuration" },
};

static int usage(FILE *out, int rc)
{
    fprintf(out, "usage: cradle-agent [-c FILE] [VERB]\n\nThe device's daemon: its key is made here and never leaves.\n\n");
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        fprintf(out, "  %-8s %s\n", verbs[i].name, verbs[i].help);
    fprintf(out, "\nFILE is /etc/cradle-agent/agent.conf unless given; without a verb: run.\nExit codes: 0 done, 2 usage, 3 refused, 4 not found, 5 conflict, 6 try again, 7 not trusted, 1 other.\n");
    return rc;
}

int main(int argc, char **argv)
{
    struct fault f = { 0 };
    const char *path = "/etc/cradle-agent/agent.conf";
    int opt;
    agent_argv = argv;
    log_setup("agent", LOG_LEVEL_INFO);
    if (argc > 1 && strcmp(argv[1], "--help") == 0)
        return usage(stdout, 0);
    if (argc == 3 && strcmp(argv[1], "--man") == 0)
        return agent_manual(argv[2], verbs, ARRAY_LEN(verbs));
    while ((opt = getopt(argc, argv, "c:hV")) != -1) {
        if (opt == 'c')
            path = optarg;
        else if (opt == 'V')
            return puts("cradle-agent " CRADLE_VERSION), 0;
        else
            return usage(opt == 'h' ? stdout : stderr, opt == 'h' ? 0 : 2);
    }
    const char *verb = optind < argc ? argv[optind] : "run";
    enum err e = agent_config_load(path, &agent.cfg, &f);
    if (e)
        return fail(e, &f);
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i].name, verb) == 0)
            return verbs[i].run(optind + 1 < argc ? argv[optind + 1] : NULL);
    fprintf(stderr, "cradle-agent: unknown verb '%s'\n", verb);
    return usage(stderr, 2);
}
