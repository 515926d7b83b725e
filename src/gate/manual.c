/* manual.c: cradle-gate(8) and cradle-gate.conf(5), out of the tables of verbs and keys. */
#include "gate/gate.h"

static const char page8_head[] =
    ".Dd November 21, 2026\n.Dt CRADLE-GATE 8\n.Os\n.Sh NAME\n.Nm cradle-gate\n.Nd lets installers write only what is ordered for this device\n"
    ".Sh SYNOPSIS\n.Nm\n.Op Fl c Ar file\n.Ar verb\n.Op Ar argument ...\n.Nm\n.Fl V | h\n"
    ".Sh DESCRIPTION\nSWUpdate and RAUC verify who signed an image, but not whether it is meant for this device, now.\n.Nm\n"
    "is what they run before they write: it asks the server for the update metadata and the directive, verifies both by the root that the device was\n"
    "made with, and compares the image with them.\nIts exit code decides.\n"
    "Without network it judges what the server said last, until that expires.\n"
    ".Bl -tag -width Ds\n"
    ".It Fl c Ar file\nThe configuration file, by default\n.Pa /etc/cradle-agent/gate.conf .\n"
    ".It Fl V\nPrints the version.\n.It Fl h\nPrints a short help.\n.El\n.Pp\nThe verbs are:\n.Bl -tag -width Ds\n";

static const char page8_tail[] =
    ".El\n"
    ".Sh ENVIRONMENT\n.Bl -tag -width Ds -compact\n"
    ".It Ev TMPDIR\nwhere SWUpdate has put\n.Pa sw-description ,\nby default\n.Pa /tmp\n"
    ".It Ev RAUC_BUNDLE_MOUNT_POINT\nwhere RAUC has mounted the bundle\n.El\n"
    ".Sh FILES\n.Bl -tag -width Ds -compact\n"
    ".It Pa UPDATE/root.json , N.root.json , state\nwhat the device trusts and has seen; the folder is\n.Va update_dir\n"
    ".It Pa UPDATE/offer\nwhat the server said last\n"
    ".It Pa UPDATE/gate-order\nthe order that was let in and is not confirmed yet\n.El\n"
    ".Sh EXIT STATUS\nAs in\n.Xr cradle 1 .\n.Sh EXAMPLES\n.Dl swupdate -P 'cradle-gate check swupdate' -p 'cradle-gate installed' ...\n"
    ".Sh SEE ALSO\n.Xr cradle-gate.conf 5 ,\n.Xr cradle-agent 8\n";

static const char page5_head[] =
    ".Dd November 21, 2026\n.Dt CRADLE-GATE.CONF 5\n.Os\n.Sh NAME\n.Nm gate.conf\n.Nd configuration of cradle-gate\n"
    ".Sh DESCRIPTION\n" MANUAL_CONF_FORM
    ".Ql cradle-gate -c FILE config\nprints the effective values.\n.Sh KEYS\n.Bl -tag -width Ds\n";

static const char page5_tail[] = ".El\n.Sh SEE ALSO\n.Xr cradle-gate 8\n";

struct manual gate_manual(const struct gate_verb *verbs, size_t n_verbs)
{
    return (struct manual){ .page8 = page8_head, .page8_tail = page8_tail, .verbs = verbs, .n_verbs = n_verbs, .verb_size = sizeof *verbs,
                            .page5_head = page5_head, .page5_tail = page5_tail, .keys = gate_keys, .n_keys = gate_nkeys };
}
