/* cradle_agent.c: the command line of the device's daemon: a table of verbs. What they do is in run.c, identity.c and enroll.c. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/enroll.h"
#include "agent/manual.h"
#include "agent/reset.h"
#include "agent/run.h"
#include "agent/tpm_attest.h"
#include "agent/trust.h"
#include "agent/update_child.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/program.h"

/* One a process; large because of its outbox. */
static struct agent agent = { .telemetry_fd = -1, .lock_fd = -1 };
static char **agent_argv;

static int fail(enum err e, const struct fault *f) { return program_fail("cradle-agent", e, f); }

static int verb_run(char **args)
{
    struct fault f = { 0 };
    (void)args;
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
    struct trust_news news;
    struct fault f = { 0 }, t = { 0 };
    enum err e = agent_open(&agent, &f);
    if (!e)
        e = agent_settle(&agent, renew, 60000, &f);
    if (!e && reset_pending(&agent.cfg))
        e = reset_step(&agent, &f);
    if (!e && renew && agent.cfg.trust_check_s)
        trust_tell(trust_renew(&agent.creds, &news, &t), &news, &t);
    agent_close(&agent);
    if (e)
        return fail(e, &f);
    printf("%s holds a valid certificate%s\n", agent.cfg.uid, renew ? ", renewed just now" : "");
    return 0;
}

static int verb_enroll(char **args)
{
    (void)args;
    return verb_settle(false);
}

/* To the agent that runs on this state folder; e and f say that there is one. */
static int tell_running(int sig, const char *what, enum err e, const struct fault *f)
{
    char path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf text = BUF_INIT(64);
    int64_t pid = 0;
    path_join(path, "%s/lock", agent.cfg.state_dir);
    if (file_read(path, &text) || !span_to_i64(span_trim(buf_span(&text)), &pid) || pid <= 1 || kill((pid_t)pid, sig))
        return fail(e, f);
    printf("told the running agent (pid %lld) to %s\n", (long long)pid, what);
    return 0;
}

static int verb_renew(char **args)
{
    struct fault f = { 0 };
    (void)args;
    enum err e = agent_open(&agent, &f);
    agent_close(&agent);
    if (e != CE_EXISTS)
        return e ? fail(e, &f) : verb_settle(true);
    return tell_running(SIGUSR1, "renew now", e, &f);
}

static int trust_print(void)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(65536);
    struct json_out j = JSON_OUT(&out);
    json_obj(&j, NULL);
    json_cstr(&j, "uid", agent.cfg.uid);
    trust_json(&agent.cfg, &j);
    json_obj_end(&j);
    puts(buf_cstr(&out));
    return 0;
}

static int verb_trust(char **args)
{
    struct trust_news news;
    struct fault f = { 0 };
    if (!args[0])
        return trust_print();
    if (strcmp(args[0], "renew") != 0)
        return fail(fault_set(&f, CE_USAGE, "trust knows no word '%s'; there is renew", args[0]), &f);
    enum err e = agent_open(&agent, &f);
    if (e == CE_EXISTS) {
        agent_close(&agent);
        return tell_running(SIGUSR2, "ask for new roots now; see its log", e, &f);
    }
    if (!e && agent.phase != CRADLE_CURRENT && agent.phase != CRADLE_CANDIDATE)
        e = fault_set(&f, CE_NO_CERT, "this device is not enrolled yet: cradle-agent enroll");
    e = e ? e : trust_renew(&agent.creds, &news, &f);
    agent_close(&agent);
    if (e)
        return fail(e, &f);
    trust_tell(e, &news, &f);
    return trust_print();
}

static int verb_csr(char **args)
{
    struct fault f = { 0 };
    char dir[PATH_MAX_LEN];
    uint8_t der[CRADLE_CSR_MAX];
    size_t len = sizeof der;
    CLEANUP(key_close) struct agent_key k = { 0 };
    CLEANUP(buf_free) struct buf pem = BUF_INIT(4096);
    (void)args;
    enum err e = agent_open(&agent, &f);
    e = e ? e : agent_key(&agent, &f);
    creds_slot_dir(&agent.creds, CREDS_CURRENT, dir);
    if (!e)
        e = key_open(&agent.cfg, dir, &k, &f);
    if (!e)
        e = enroll_csr(&agent.cfg, &k, der, &len, &f);
    agent_close(&agent);
    if (e)
        return fail(e, &f);
    buf_put_base64(&pem, span_of(der, len), 64);
    printf("-----BEGIN CERTIFICATE REQUEST-----\n%s-----END CERTIFICATE REQUEST-----\n", buf_cstr(&pem));
    return 0;
}

static int verb_import(char **args)
{
    struct fault f = { 0 };
    CLEANUP(buf_free) struct buf text = BUF_INIT(65536);
    const char *arg = args[0];
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

static int verb_report(char **args)
{
    struct fault f = { 0 };
    CLEANUP(buf_free) struct buf out = BUF_INIT(8192);
    (void)args;
    agent.started_ms = clock_mono_ms();
    path_join(agent.creds.dir, "%s", agent.cfg.state_dir);
    command_report(&agent, span_of(NULL, 0), &out);
    if (buf_err(&out))
        return fail(fault_set(&f, buf_err(&out), "the report is too large"), &f);
    puts(buf_cstr(&out));
    return 0;
}

static int verb_ek(char **args)
{
    struct fault f = { 0 };
    CLEANUP(buf_free) struct buf hex = BUF_INIT(128);
    uint8_t hash[32];
    bool has_cert = false;
    (void)args;
    enum err e = tpm_ek(&agent.cfg, hash, &has_cert, &f);
    if (e)
        return fail(e, &f);
    buf_put_hex(&hex, span_of(hash, sizeof hash));
    puts(buf_cstr(&hex));
    fprintf(stderr, "cradle-agent: the TPM holds %s certificate of this endorsement key\n", has_cert ? "a" : "no");
    return 0;
}

static int verb_config(char **args)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    (void)args;
    config_dump(agent_keys, agent_nkeys, &agent.cfg, true, &out);
    fputs(buf_cstr(&out), stdout);
    return 0;
}

static int verb_update(char **args) { return update_verb(&agent.cfg, args); }

/* A running agent sees the note within a second; without one it is done here. */
static int verb_reset(char **args)
{
    struct fault f = { 0 };
    if (!args[0] || strcmp(args[0], "--yes") != 0) {
        fprintf(stderr, "cradle-agent: a factory reset erases %s and this device's key; say: reset --yes\n", *agent.cfg.reset_paths ? agent.cfg.reset_paths : "no paths");
        return 2;
    }
    enum err e = reset_order(&agent.cfg, 0, &f);
    if (e)
        return fail(e, &f);
    e = agent_open(&agent, &f);
    if (e == CE_EXISTS) {
        agent_close(&agent);
        puts("told the running agent to reset");
        return 0;
    }
    if (!e && (*agent.cfg.enroll_cert || *agent.cfg.idevid_cert))
        e = agent_settle(&agent, false, 60000, &f);
    e = e ? e : reset_step(&agent, &f);
    agent_close(&agent);
    if (e)
        return fail(e, &f);
    printf("%s is reset%s\n", agent.cfg.uid, *agent.cfg.enroll_cert || *agent.cfg.idevid_cert ? "" : "; carry a new request to a station (cradle-agent csr)");
    return 0;
}

static const struct agent_verb verbs[] = {
    { { "run", "", "the daemon: enroll, connect, renew, publish, take commands (SIGUSR1: renew now)" }, verb_run },
    { { "enroll", "", "make the key if needed, enroll once, end" }, verb_enroll },
    { { "renew", "", "renew now; tells a running agent to do it" }, verb_renew },
    { { "csr", "", "print the certification request for a factory station" }, verb_csr },
    { { "import", "FILE", "store the certificate that a station made (PEM or PKCS#7)" }, verb_import },
    { { "update", "WORD", "updates: status, accept, install-now, postpone SPAN, decline; once: ask, and do what there is to do" }, verb_update },
    { { "trust", "[renew]", "print which roots are trusted, as JSON; renew: ask the site for new ones now (SIGUSR2)" }, verb_trust },
    { { "reset", "--yes", "factory reset: erase reset_paths and the identity, enroll anew" }, verb_reset },
    { { "report", "", "print what this identity is, as JSON" }, verb_report },
    { { "ek", "", "print the SHA-256 of the TPM's endorsement key, for cradle tpm bind" }, verb_ek },
    { { "config", "", "print the effective configuration" }, verb_config },
};

int main(int argc, char **argv)
{
    const struct program program = { .name = "cradle-agent", .about = "The device's daemon: its key is made here and never leaves.",
                                     .conf = "/etc/cradle-agent/agent.conf", .fallback = "run", .manual = agent_manual(verbs, ARRAY_LEN(verbs)) };
    struct fault f = { 0 };
    const char *path;
    size_t verb;
    int rc;
    agent_argv = argv;
    log_setup("agent", LOG_LEVEL_INFO);
    int at = program_begin(&program, argc, argv, &path, &verb, &rc);
    if (at < 0)
        return rc;
    agent.config_path = path;
    enum err e = agent_config_load(path, &agent.cfg, &f);
    return e ? fail(e, &f) : verbs[verb].run(argv + (at + 1 < argc ? at + 1 : argc));
}
