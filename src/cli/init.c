/* init.c: `cradle init DIR` makes a site: plan, keys and certificates, files, and then all of it at once in its place. */
#include "cli/init.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "crypt/pem.h"

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
    (void)sig;
    interrupted = 1;
}

bool init_interrupted(void) { return interrupted != 0; }

static void catch_signals(void)
{
    static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction sa = { .sa_handler = on_signal };
    for (size_t i = 0; i < ARRAY_LEN(sigs); i++)
        sigaction(sigs[i], &sa, NULL);
}

enum err init_put(struct init *in, const char *name, struct span bytes, mode_t mode, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s", in->tmp, name);
    if (interrupted)
        return fault_set(f, CE_IO, "interrupted; nothing was made");
    enum err e = file_write_new(path, bytes, mode);
    return e ? fault_set(f, e, "cannot write %s: %s", path, strerror(errno)) : CE_OK;
}

enum err init_put_pem(struct init *in, const char *name, const char *label, struct span der, mode_t mode, struct fault *f)
{
    CLEANUP(buf_free) struct buf pem = BUF_INIT(65536);
    pem_encode(label, der, &pem);
    return init_put(in, name, buf_span(&pem), mode, f);
}

static enum err init_make(struct init *in, struct fault *f)
{
    enum err e = place_begin(in, f);
    if (e || (e = init_profiles(in, f)) || (e = init_pki(in, f)) || (e = init_config(in, f)) || (e = init_birth(in, f)) ||
        (e = init_owners(in, f)))
        return e;
    return place_end(in, f);
}

static void print_json(const struct init *in)
{
    CLEANUP(json_decref_p) json_t *o =
        json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:s,s:s,s:s}", "dir", in->dir, "name", in->name, "org", in->org, "host", in->host,
                  "https_port", (json_int_t)in->port, "http_port", (json_int_t)in->port + 1, "broker_port", (json_int_t)in->port + 2,
                  "origin", in->origin, "log_key", in->vkey, "operator", "admin");
    cli_print_json(o);
}

static void print_next(const struct init *in)
{
    struct cli *c = in->c;
    const char *b = cli_tint(c, TINT_BOLD), *n = cli_tint(c, TINT_NONE);
    cli_say(c, "\nThe site %s%s%s is in %s: https://%s:%lld, http://%s:%lld, broker port %lld.", b, in->name, n, in->dir, in->host,
            (long long)in->port, in->host, (long long)in->port + 1, (long long)in->port + 2);
    cli_say(c, "\nWhat to do next:");
    if (in->pkcs11)
        cli_say(c, "  1. The root key stays in its token (%s/offline/root.uri): keep the token and its PIN apart from this machine.", in->dir);
    else
        cli_say(c, "  1. Move %s/offline to two places that are not this machine, and keep its passphrase apart from them.", in->dir);
    if (in->ca_pkcs11)
        cli_say(c, "     The CAs' keys are in a token: set hsm_paths and hsm_env in cradled.conf for its module (cradled.conf(5)), and give the PIN file to the signer's user.");
    cli_say(c, "  2. Start the service:   cradled %s", in->dir);
    cli_say(c, "  3. Name the site once:  cradle profile set --site %s", in->dir);
    cli_say(c, "  4. Look at it:          cradle status");
    cli_say(c, "  5. Give this to everybody who will check the evidence: %s", in->vkey);
}

static void init_close(struct init *in)
{
    mem_zero(in->secret, sizeof in->secret);
    ca_close(&in->root);
    ca_close(&in->device);
    ca_close(&in->infra);
    buf_free(&in->admin_der);
}

static enum err init_run(struct cli *c, struct fault *f)
{
    struct init in = { .c = c, .now_s = clock_now_s() };
    catch_signals();
    path_join(in.dir, "%.400s", c->args[0]);
    for (size_t n = strlen(in.dir); n > 1 && in.dir[n - 1] == '/'; n--)
        in.dir[n - 1] = 0;
    enum err e = strlen(c->args[0]) > 400 ? fault_set(f, CE_USAGE, "the path is too long") : place_check(&in, f);
    if (!e && !(e = init_plan(&in, f)) && !(e = init_secret(&in, f))) {
        init_users(&in);
        e = init_make(&in, f);
        if (e)
            place_abort(&in);
    }
    if (!e && c->json)
        print_json(&in);
    else if (!e)
        print_next(&in);
    init_close(&in);
    return e;
}

static const struct verb_opt opts[] = {
    { "--name", "NAME", "name of the site, part of CA names and of the log's origin", false },
    { "--org", "ORG", "organisation in the certificates", false },
    { "--host", "HOST", "name or address of this server for URLs and the TLS certificate; the first one is in the URLs (default localhost and 127.0.0.1)", true },
    { "--port-base", "PORT", "https port; http is the next one, the broker's the one after (default: the first free ones from 8443)", false },
    { "--ca-alg", "ALG", "keys of the CAs and of their OCSP responders: ec:P-256 (default), ec:P-384, ed25519, rsa:3072, or ml-dsa-44, -65, -87 (OpenSSL 3.5)", false },
    { "--root-validity", "TIME", "life of the root CA (default 20y)", false },
    { "--ca-validity", "TIME", "life of the issuing CAs (default 10y)", false },
    { "--server-validity", "TIME", "life of the TLS server's and the OCSP responders' certificates (default 5y)", false },
    { "--device-validity", "TIME", "life of device certificates when the product line names none (default 2y)", false },
    { "--passphrase-file", "FILE", "first line is the passphrase of the root key; asked on the terminal otherwise", false },
    { "--root-pkcs11", "URI", "make the root key in a PKCS#11 token: pkcs11:token=T;object=O?module-path=FILE&pin-source=FILE", false },
    { "--pkcs11-ca", "URI", "make the keys of the issuing CAs in a PKCS#11 token that stays with the service: pkcs11:token=T?module-path=FILE&pin-source=FILE", false },
    { "--pkcs11-ocsp", NULL, "those of the OCSP responders there too: every OCSP answer is then signed by the token", false },
    { "--pkcs11-cmp", NULL, "that of the answers of CMP there too", false },
    { "--pkcs11-log", NULL, "that of the evidence log there too (Ed25519; not every token can)", false },
};

const struct verb verb_init = {
    .name = "init", .args = "DIR", .min_args = 1, .max_args = 1, .help = "make a new site",
    .text = "Makes everything that a site needs in DIR, which must be new or empty: a root CA (its key encrypted with a passphrase, or "
            "in a PKCS#11 token), an issuing CA for devices and one for operators, stations and edges, OCSP responders, the key of the "
            "evidence log, the TLS server's certificate, the first operator 'admin' and the configuration. No root needed. When it is "
            "run by root, the service will run as the user 'cradle' when there is one, otherwise as a numeric user of its own, and its "
            "signer as another: the files are given to them. An init that is interrupted leaves nothing.",
    .example = "cradle init /srv/cradle --name acme --org 'Acme GmbH' --host cradle.acme.example --passphrase-file /root/pass",
    VERB_OPTS(opts), .run = init_run,
};
