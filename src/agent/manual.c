/* manual.c: see manual.h. */
#include "agent/manual.h"

#include "agent/agent.h"

static const char page8_head[] =
    ".Dd November 21, 2026\n.Dt CRADLE-AGENT 8\n.Os\n.Sh NAME\n.Nm cradle-agent\n.Nd a device's identity: makes the key, enrolls, renews, connects\n"
    ".Sh SYNOPSIS\n.Nm\n.Op Fl c Ar file\n.Op Ar verb Op Ar argument\n.Nm\n.Fl V | h\n"
    ".Sh DESCRIPTION\n.Nm\nmakes the device's key on the device, gets a certificate for it by EST (RFC 7030), connects to the MQTT broker with it,\n"
    "and renews it in time.\nA new certificate is stored beside the old one and replaces it only after a connection with it has worked.\n"
    "A loss of power at any moment leaves a usable identity.\n"
    "When updates are on, it installs what signed metadata and a directive for this device name, confirms it when it is well, and else brings\n"
    "the old version back.\nIt stays in the foreground and logs to standard error.\n"
    ".Bl -tag -width Ds\n"
    ".It Fl c Ar file\nThe configuration file, by default\n.Pa /etc/cradle-agent/agent.conf .\n"
    ".It Fl V\nPrints the version.\n.It Fl h\nPrints a short help.\n.El\n.Pp\nThe verbs are:\n.Bl -tag -width Ds\n";

static const char page8_tail[] =
    ".El\n.Pp\nWithout a verb it does\n.Ql run .\n"
    ".Sh MQTT TOPICS\n.Bl -tag -width Ds -compact\n"
    ".It Pa d/UID/up/status\nsent after each connection and then every\n.Va heartbeat_s\n"
    ".It Pa d/UID/up/telemetry\nwhat the application wrote to the telemetry socket, one message a datagram\n"
    ".It Pa d/UID/down/cmd\ncommands, JSON:\n.Ql {\\(dqcmd\\(dq:\\(dqreport\\(dq,\\(dqid\\(dq:\\(dq1\\(dq}\nor\n.Ql reset\n"
    ".It Pa d/UID/up/report , d/UID/up/answer\nanswers to them\n.El\n"
    ".Sh SIGNALS\n.Bl -tag -width Ds -compact\n.It Dv SIGUSR1\nRenews now.\n.It Dv SIGUSR2\nAsks for new roots now.\n.It Dv SIGTERM , SIGINT\nEnds it.\n.El\n"
    ".Sh FILES\n.Bl -tag -width Ds -compact\n"
    ".It Pa STATE/current/key.pem , cert.pem\nthe identity in use; the folder is\n.Va state_dir\n"
    ".It Pa STATE/next\na candidate with which no connection has worked yet\n"
    ".It Pa STATE/trust/roots.pem\nthe roots that the site has told, each proved by one before it; without it\n.Va ca_file\ncounts\n"
    ".It Pa STATE/update\nthe state of updates: root, versions seen, the order at hand, slot\n"
    ".It Pa STATE/telemetry.sock\nwhere the application writes datagrams of up to 8192 bytes\n.El\n"
    ".Sh EXIT STATUS\nAs in\n.Xr cradle 1 .\n.Sh SEE ALSO\n.Xr cradle 1 ,\n.Xr cradle-agent.conf 5 ,\n.Xr cradled 8\n";

static const char page5_head[] =
    ".Dd November 21, 2026\n.Dt CRADLE-AGENT.CONF 5\n.Os\n.Sh NAME\n.Nm agent.conf\n.Nd configuration of cradle-agent\n"
    ".Sh DESCRIPTION\n" MANUAL_CONF_FORM MANUAL_CONF_SPANS
    ".Ql cradle-agent -c FILE config\nprints the effective values.\n.Sh KEYS\n.Bl -tag -width Ds\n";

static const char page5_tail[] = ".El\n.Sh SEE ALSO\n.Xr cradle-agent 8\n";

struct manual agent_manual(const struct agent_verb *verbs, size_t n_verbs)
{
    return (struct manual){ .page8 = page8_head, .page8_tail = page8_tail, .verbs = verbs, .n_verbs = n_verbs, .verb_size = sizeof *verbs,
                            .page5_head = page5_head, .page5_tail = page5_tail, .keys = agent_keys, .n_keys = agent_nkeys };
}
