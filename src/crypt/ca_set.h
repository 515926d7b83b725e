/* ca_set.h: the words for CAs (what one is used for, the state that it is in), and which CAs have their keys in a site's folder. What is
 * true of a CA now is core's to say (core/ca.h); the folder says only which keys are here.
 *
 * Files of issuing CA NAME: DIR/ca/NAME.pem, DIR/ca/NAME.use (one word; absent: the name is the word, as `cradle init` made them),
 * DIR/ca/NAME-ocsp.pem, DIR/keys/NAME-ocsp.key, and the CA's key: DIR/keys/NAME.key, or DIR/keys/NAME.uri when it is in a token.
 */
#ifndef CRADLE_CRYPT_CA_SET_H
#define CRADLE_CRYPT_CA_SET_H

#include "base/name.h"
#include "base/span.h"

#define CA_SET_MAX 32 /* CAs of a site, roots included */

/* A link is no CA of its own: another certificate of a root or an issuing CA that stands here already, signed by another root (RFC 4210
 * 4.4), for those who trust that other root alone. */
enum ca_use { CA_USE_NONE, CA_USE_ROOT, CA_USE_LINK, CA_USE_DEVICE, CA_USE_INFRA, CA_USE_IDEVID, CA_USES };
const char *ca_use_name(enum ca_use u);      /* "root", "link", "device", "infra", "idevid" */
static inline bool ca_use_issues(enum ca_use u) { return u >= CA_USE_DEVICE; }
/* May a CA for use `is` issue what a profile says is for use `want`? While a site has no CA of their own, IDevIDs come from a CA for devices. */
static inline bool ca_use_serves(enum ca_use is, enum ca_use want) { return is == want || (want == CA_USE_IDEVID && is == CA_USE_DEVICE); }
enum ca_use ca_use_find(struct span word);   /* CA_USE_NONE: not a word of this list */

/* active: issues for its use. passive: issues no more, or not yet, except for lines that name it; all its certificates count.
 * retired: its certificates count no more; OCSP and CRLs go on. compromised: as retired, and revoked: nothing that it signed proves
 * anything. */
enum ca_state { CA_STATE_NONE, CA_ACTIVE, CA_PASSIVE, CA_RETIRED, CA_COMPROMISED, CA_STATES };
const char *ca_state_name(enum ca_state s);
enum ca_state ca_state_find(struct span word);

#define CA_LINK_PART "-by-root" /* in the names of links only: X-by-ROOT */
/* A name for a new CA: a label that no file of another purpose has ("root…", "bundle", "cmp", "…-ocsp", "…-by-root…" are taken). CE_BAD_NAME. */
MUST_USE enum err ca_name_check(struct span name, struct fault *f);

struct ca_names { char name[CA_SET_MAX][LABEL_MAX + 1]; size_t n; };
/* The issuing CAs whose key is at DIR/keys/NAME + suffix (".key", ".uri"; NULL: all, with a key or not), in order of their names. CE_IO,
 * CE_BAD_CONFIG. */
MUST_USE enum err ca_names_list(const char *site_dir, const char *suffix, struct ca_names *out, struct fault *f);

#endif
