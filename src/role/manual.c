/* manual.c: see manual.h. mdoc(7) out of cradled.def, err.def's exit codes and the route table's sources. */
#include "role/manual.h"

#include "base/manual.h"
#include "role/settings.h"

static const char page8[] =
    ".Dd November 20, 2026\n.Dt CRADLED 8\n.Os\n.Sh NAME\n.Nm cradled\n.Nd identity server for devices: registry, CA, EST, OCSP, evidence\n"
    ".Sh SYNOPSIS\n.Nm\n.Op Fl t | T | f | m\n.Op Fl c Ar file | Ar site\n.Nm\n.Fl V | h\n"
    ".Sh DESCRIPTION\n.Nm\nruns the site in the folder\n.Ar site\n(default:\n.Ev CRADLE_SITE ) ,\nwhich\n.Xr cradle 1\nmade with\n.Ql cradle init .\n"
    "It stays in the foreground and logs to standard error.\nIts work is split among processes that can do little harm alone: one parent,\n"
    "nginx for TLS, some that decode requests (front), one that decides and writes (core), some that search (query),\n"
    "one that keeps files for devices (depot) and one that holds the keys (signer).\n"
    ".Bl -tag -width Ds\n"
    ".It Fl c Ar file\nThe configuration file; the site is the folder that it lies in.\n"
    ".It Fl t\nChecks the configuration, and with nginx the one that is made for nginx, and exits.\n"
    ".It Fl T\nPrints the effective configuration, every key with its meaning, and exits.\n"
    ".It Fl f\nChecks that the events in the database add up to its tables, and exits.\n"
    ".It Fl m\nBrings the database of a stopped service to the schema of this program, and exits.\n"
    "Given twice, it also drops what only older programs read.\n"
    ".It Fl V\nPrints the version.\n.It Fl h\nPrints a short help.\n.El\n"
    ".Sh SIGNALS\n.Bl -tag -width SIGTERM -compact\n"
    ".It Dv SIGTERM , SIGINT\nFinishes open requests within\n.Va drain_time ,\nthen exits.\nA second one: exits at once.\n"
    ".It Dv SIGHUP\nReads the configuration, certificates and profiles again.\nA wrong configuration changes nothing and is reported.\n.El\n"
    ".Sh PRIVILEGES\nStarted by root, all roles become\n.Va user\n(the signer\n.Va signer_user )\nbefore they run; root itself is refused.\n"
    "No role can gain privileges or dump core.\nfront, core, query, depot and signer run under seccomp; a forbidden system call kills\n"
    "the process.\nWhere the kernel has Landlock, they see only the folders of the site that they work in.\n"
    ".Sh ENVIRONMENT\n.Bl -tag -width NOTIFY_SOCKET -compact\n.It Ev CRADLE_SITE\nthe site when none is given\n"
    ".It Ev NOTIFY_SOCKET\nwhere systemd is told about readiness\n.El\n"
    ".Sh FILES\n.Bl -tag -width DIR/cradled.conf -compact\n"
    ".It Pa SITE/cradled.conf\nconfiguration, see\n.Xr cradled.conf 5\n"
    ".It Pa SITE/run/cradled.pid\nprocess id of the parent\n"
    ".It Pa SITE/run/nginx/nginx.conf\nmade at each start; changes to it are lost\n.El\n"
    ".Sh EXIT STATUS\n0 after an orderly stop.\n70: a role died too often.\n78: a role cannot work as things are; its reason is in the log.\n"
    "Others as in\n.Xr cradle 1 .\n.Sh SEE ALSO\n.Xr cradle 1 ,\n.Xr cradled.conf 5\n";

static const char page5_head[] =
    ".Dd November 20, 2026\n.Dt CRADLED.CONF 5\n.Os\n.Sh NAME\n.Nm cradled.conf\n.Nd configuration of cradled\n"
    ".Sh DESCRIPTION\n" MANUAL_CONF_FORM MANUAL_CONF_SPANS
    ".Ql cradled -T\nprints the effective values,\n.Ql cradled -t\nchecks the file.\n.Sh KEYS\n.Bl -tag -width Ds\n";

static const char page5_tail[] =
    ".El\n.Sh EXTERNAL TLS\nWith\n.Ql tls = external\nno nginx is started; your ingress speaks HTTP/1.1 to the sockets\n.Pa SITE/run/front-N.sock ,\n"
    "which the members of\n.Va socket_group\nmay open.\nWhoever can open them is trusted with the identity of every caller.\nIt must:\n"
    ".Bl -enum -compact\n"
    ".It\nask for a client certificate without demanding one, and verify it against\n.Pa SITE/ca/bundle.pem ;\n"
    ".It\nset\n.Ql X-Cradle-Client-Cert\n(URL-escaped PEM, empty without one),\n.Ql X-Cradle-Verify\n(SUCCESS, NONE or FAILED:reason),\n"
    ".Ql X-Cradle-Addr ,\n.Ql X-Cradle-Port\n(tls or plain) and\n.Ql X-Request-Id\non every request, and remove what a client sent under these names;\n"
    ".It\nhand requests on when verification failed, so that the refusal gets its reason and its evidence;\n"
    ".It\nresume no TLS session: tickets and session caches off, because a resumed session is never verified again;\n"
    ".It\nserve\n.Pa SITE/log\nat /log/, and on the plain port\n.Pa SITE/pub/crl\nat /crl/ and\n.Pa SITE/pub/ca\nat /ca/; pass /ocsp on;\n"
    ".It\nanswer a front\'s\n.Ql X-Accel-Redirect\nas the\nconfiguration made for nginx does, and hand pieces of uploads on whole (at most 1 MiB then);\nremove\n.Ql X-Cradle-Body\nof clients;\n"
    ".It\nnot buffer answers of /edge/v1/stream, and bound headers and bodies in size and time.\n.El\n"
    "The configuration made for nginx,\n.Pa SITE/run/nginx/nginx.conf ,\nis a complete example.\n"
    ".Sh SEE ALSO\n.Xr cradle 1 ,\n.Xr cradled 8\n";

int cradled_manual(const char *section)
{
    const struct manual m = { .page8 = page8, .page5_head = page5_head, .page5_tail = page5_tail, .keys = settings_keys, .n_keys = settings_nkeys };
    return manual_print(&m, section);
}
