/* manual.c: see manual.h. */
#include "edge/manual.h"

#include "base/manual.h"
#include "edge/edge.h"

static const char page8[] =
    ".Dd November 20, 2026\n.Dt CRADLE-EDGE 8\n.Os\n.Sh NAME\n.Nm cradle-edge\n.Nd keeps the revocation snapshot on a broker or API host\n"
    ".Sh SYNOPSIS\n.Nm\n.Op Fl c Ar file\n.Op Fl t | T | s | V\n"
    ".Sh DESCRIPTION\n.Nm\nfollows cradled's revocation stream over mutual TLS, verifies every snapshot and frame with the stream's public key,\n"
    "and keeps them in\n.Va state_dir\nfor consumers on the same host, such as the Mosquitto plugin.\nWhat does not verify, or is behind what is held,\n"
    "never replaces it: the last good state stays in force and an alarm is raised.\n.Pp\n"
    "It takes reports of these consumers (sessions cut, logins refused, clones suspected) on a socket, keeps them while cradled is away,\n"
    "and posts each at least once; cradled knows repeated ones by their id.\n.Pp\n"
    "Where\n.Va authz_socket , authz_listen , spop_socket\nor\n.Va spop_listen\nis set, it answers proxies whether the holder of a certificate may be let in:\n"
    "HTTP\n.Ql GET /authz\nwith 200 and the headers X-Cradle-Uid, X-Cradle-Line, X-Cradle-Serial and X-Cradle-State, with 403 and X-Cradle-Reason, or with 503\n"
    "when the snapshot is older than\n.Va refuse_after ;\nHAProxy by SPOP.\n"
    "The proxy is believed: nobody else may reach these sockets.\n"
    ".Bl -tag -width Ds\n"
    ".It Fl c Ar file\nThe configuration file, by default\n.Pa /etc/cradle-edge/edge.conf .\n"
    ".It Fl t\nChecks the configuration and the public key, and exits.\n"
    ".It Fl T\nPrints the effective configuration, every key with its meaning, and exits.\n"
    ".It Fl s\nPrints the status of the running\n.Nm .\nExits with 7 when the snapshot is stale, with 4 when none runs.\n"
    ".It Fl V\nPrints the version.\n.El\n"
    ".Sh SIGNALS\n.Bl -tag -width SIGTERM -compact\n"
    ".It Dv SIGHUP\nConnects anew, with the certificate and key that are on disk now.\n"
    ".It Dv SIGTERM , SIGINT\nEnds it; what it holds stays in force for consumers until it is too old.\n.El\n"
    ".Sh FILES\n.Bl -tag -width STATE/revocation.snap -compact\n"
    ".It Pa STATE/revocation.snap\nthe signed snapshot, replaced by rename only\n"
    ".It Pa STATE/revocation.tail\nthe signed frames since\n"
    ".It Pa STATE/report.sock\nwhere consumers send reports\n"
    ".It Pa STATE/reports.spool\nreports that cradled has not acknowledged yet\n"
    ".It Pa STATE/edge.status\nthe status as JSON, made anew each second\n.El\n"
    ".Sh EXIT STATUS\n0 after an orderly stop; others as in\n.Xr cradle 1 .\n"
    ".Sh SEE ALSO\n.Xr cradle 1 ,\n.Xr cradle-edge.conf 5 ,\n.Xr cradled 8 ,\n.Xr mosquitto 8\n";

static const char page5_head[] =
    ".Dd November 20, 2026\n.Dt CRADLE-EDGE.CONF 5\n.Os\n.Sh NAME\n.Nm edge.conf\n.Nd configuration of cradle-edge\n"
    ".Sh DESCRIPTION\n.Ql cradle edge add NAME\nmakes this file and all that it names.\n" MANUAL_CONF_FORM
    ".Sh KEYS\n.Bl -tag -width Ds\n";

static const char page5_tail[] = ".El\n.Sh SEE ALSO\n.Xr cradle 1 ,\n.Xr cradle-edge 8\n";

int edge_manual(const char *section)
{
    const struct manual m = { .page8 = page8, .page5_head = page5_head, .page5_tail = page5_tail, .keys = edge_keys, .n_keys = edge_nkeys };
    return manual_print(&m, section);
}
