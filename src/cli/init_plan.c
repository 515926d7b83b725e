/* init_plan.c: what the new site will be: options, questions on a terminal, the passphrase of the root key. Makes nothing. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/init.h"
#include "cli/secret.h"

#define PORT_FIRST 8443
#define PORT_STEP 10
#define PORT_TRIES 500
#define YEAR_S (365 * 86400)

static bool on_terminal(void) { return isatty(0) && isatty(2); }

/* Asks one question on the terminal; an empty answer takes def. */
static enum err ask(const char *question, const char *def, char *out, size_t cap, struct fault *f)
{
    fprintf(stderr, "%s%s%s%s: ", question, def[0] ? " [" : "", def, def[0] ? "]" : "");
    char line[512];
    if (!fgets(line, sizeof line, stdin))
        return fault_set(f, CE_USAGE, "%s; nothing was made", init_interrupted() ? "interrupted" : "no answer");
    struct span s = span_trim(span_str(line));
    if (!s.n)
        s = span_str(def);
    return span_to_cstr(s, out, cap) ? fault_set(f, CE_USAGE, "the answer is too long") : CE_OK;
}

/* An option, or the answer to a question, or a refusal that names the option. */
static enum err want(struct init *in, const char *opt, const char *question, const char *def, char *out, size_t cap, struct fault *f)
{
    const char *v = cli_opt(in->c, opt);
    if (v)
        return span_to_cstr(span_str(v), out, cap) ? fault_set(f, CE_USAGE, "%s is too long", opt) : CE_OK;
    if (on_terminal())
        return ask(question, def, out, cap, f);
    return fault_set(f, CE_USAGE, "a new site needs %s (asked for on a terminal only)", opt);
}

static enum err plan_hosts(struct init *in, struct fault *f)
{
    CLEANUP(buf_free) struct buf all = BUF_INIT(INIT_HOSTS_MAX - 1);
    const char *h;
    for (int i = 0; (h = cli_opt_n(in->c, "--host", i)); i++)
        buf_printf(&all, "%s%s", i ? " " : "", h);
    if (!all.len && on_terminal() && !(cli_opt(in->c, "--name") && cli_opt(in->c, "--org"))) {
        char host[256];
        enum err e = ask("Host name or address of this server", "localhost", host, sizeof host, f);
        if (e)
            return e;
        buf_put_str(&all, host);
    }
    if (!all.len || span_eq_str(buf_span(&all), "localhost")) {
        buf_reset(&all);
        buf_put_str(&all, "localhost 127.0.0.1");
    }
    if (buf_err(&all))
        return fault_set(f, CE_USAGE, "the hosts are too long together");
    snprintf(in->hosts, sizeof in->hosts, "%s", buf_cstr(&all));
    for (char *p = in->hosts; *p; p++)
        if (*p == ',')
            *p = ' ';
        else if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-: ", *p))
            return fault_set(f, CE_USAGE, "--host takes names and addresses only, not '%s'", in->hosts);
    struct span rest = span_trim(span_str(in->hosts)), first;
    if (!span_cut(&rest, ' ', &first) || span_to_cstr(first, in->host, sizeof in->host))
        return fault_set(f, CE_USAGE, "--host is empty or too long");
    return CE_OK;
}

static bool port_free(int64_t port)
{
    CLEANUP(fd_close_p) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_ANY) };
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    return bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
}

static enum err plan_port(struct init *in, struct fault *f)
{
    enum err e = cli_opt_int(in->c, "--port-base", 0, 1, 65533, &in->port, f);
    if (e || in->port)
        return e;
    for (int i = 0; i < PORT_TRIES; i++) {
        int64_t p = PORT_FIRST + i * PORT_STEP;
        if (port_free(p) && port_free(p + 1) && port_free(p + 2)) {
            in->port = p;
            return CE_OK;
        }
    }
    return fault_set(f, CE_USAGE, "found no three free ports in a row; give --port-base");
}

static enum err plan_lifetimes(struct init *in, struct fault *f)
{
    const struct { const char *opt; int64_t def, *out; } rows[] = {
        { "--root-validity", 20LL * YEAR_S, &in->root_s }, { "--ca-validity", 10LL * YEAR_S, &in->ca_s },
        { "--server-validity", 5LL * YEAR_S, &in->server_s }, { "--device-validity", 2LL * YEAR_S, &in->device_s },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum err e = cli_opt_span_s(in->c, rows[i].opt, rows[i].def, rows[i].out, f);
        if (e)
            return e;
        if (*rows[i].out < 3600 || *rows[i].out > 100LL * YEAR_S)
            return fault_set(f, CE_USAGE, "%s must be between an hour and 100 years", rows[i].opt);
        if (i && *rows[i].out > *rows[i == 1 ? 0 : 1].out) {
            if (cli_opt(in->c, rows[i].opt))
                return fault_set(f, CE_USAGE, "%s is longer than the life of the CA above it", rows[i].opt);
            *rows[i].out = *rows[i == 1 ? 0 : 1].out;
        }
    }
    return CE_OK;
}

enum err init_plan(struct init *in, struct fault *f)
{
    enum err e = want(in, "--name", "Name of the site (letters, digits, . _ -)", "", in->name, sizeof in->name, f);
    if (e || (e = name_check_label("--name", span_str(in->name), f)))
        return e;
    if ((e = want(in, "--org", "Organisation", "", in->org, sizeof in->org, f)) ||
        (e = name_check_text("--org", span_str(in->org), 64, f)))
        return e;
    struct span org = span_str(in->org);
    if (!org.n || span_trim(org).n != org.n)
        return fault_set(f, CE_USAGE, "the organisation must not be empty, nor begin or end with a blank");
    if (in->org[0] == '#' || strstr(in->org, " #"))
        return fault_set(f, CE_USAGE, "the organisation must not have a # at its start or after a blank: that begins a comment in cradled.conf");
    if ((e = plan_hosts(in, f)) || (e = plan_port(in, f)) || (e = plan_lifetimes(in, f)))
        return e;
    in->pkcs11 = cli_opt(in->c, "--root-pkcs11");
    in->ca_alg = cli_opt_or(in->c, "--ca-alg", "ec:P-256");
    struct key *probe = NULL; /* a name that is not known, or not here, is refused before anything is made */
    if ((e = key_generate(in->ca_alg, &probe, f)))
        return e;
    key_free(probe);
    in->ca_pkcs11 = cli_opt(in->c, "--pkcs11-ca");
    in->ocsp_in_token = cli_flag(in->c, "--pkcs11-ocsp");
    in->log_in_token = cli_flag(in->c, "--pkcs11-log");
    in->cmp_in_token = cli_flag(in->c, "--pkcs11-cmp");
    if (!in->ca_pkcs11 && (in->ocsp_in_token || in->log_in_token || in->cmp_in_token))
        return fault_set(f, CE_USAGE, "--pkcs11-ocsp, --pkcs11-cmp and --pkcs11-log go with --pkcs11-ca URI, which names the token");
    struct pkcs11_uri u;
    if (in->ca_pkcs11 && (e = pkcs11_uri_parse(span_str(in->ca_pkcs11), "x", &u, f)))
        return e;
    if (in->ca_pkcs11 && (strcmp(u.object, "x") != 0 || u.id_len))
        return fault_set(f, CE_USAGE, "--pkcs11-ca names a token, not a key: leave object= and id= out; the keys are called %s-device and so on", in->name);
    bool v6 = strchr(in->host, ':') != NULL;
    int n = snprintf(in->base_url, sizeof in->base_url, "http://%s%s%s:%lld", v6 ? "[" : "", in->host, v6 ? "]" : "", (long long)in->port + 1);
    if (n >= (int)sizeof in->base_url || snprintf(in->origin, sizeof in->origin, "%s/%s", in->host, in->name) > 200)
        return fault_set(f, CE_USAGE, "the host name is too long");
    return CE_OK;
}

enum err init_secret(struct init *in, struct fault *f)
{
    const char *path = cli_opt(in->c, "--passphrase-file");
    if (in->pkcs11)
        return path ? fault_set(f, CE_USAGE, "--root-pkcs11 and --passphrase-file exclude each other") : CE_OK;
    if (!path && !on_terminal())
        return fault_set(f, CE_USAGE, "the root key needs protection: give --passphrase-file FILE, or --root-pkcs11 URI, or run this on a terminal");
    return secret_read(path, true, in->secret, f);
}
