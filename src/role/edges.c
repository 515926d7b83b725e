/* edges.c: the table of allowed conversations. See edges.h. */
#include "role/edges.h"

#include <string.h>

#include "base/mem.h"
#include "wire/msg.h"

static const char *const names[ROLE_COUNT] = { "parent", "front", "core", "query", "signer", "depot", "hsm" };

static const struct {
    enum role from, to;
    uint16_t types[64]; /* ends with 0 */
} edges[] = {
    { ROLE_FRONT, ROLE_CORE,
      { MSG_CA_LIST, MSG_CA_ADD, MSG_CA_SET, MSG_LINE_ADD, MSG_LINE_SET, MSG_BACKEND_SET, MSG_MODEL_ADD, MSG_DEVICE_ADD, MSG_DEVICE_STATE, MSG_DEVICE_STATES, MSG_DRILL_ADD, MSG_TUF_PUT, MSG_META_SYNC,
        MSG_CERT_REVOKE, MSG_OPERATOR_ADD, MSG_OPERATOR_REMOVE, MSG_ENROLL, MSG_OCSP_QUERY, MSG_REFUSED, MSG_EDGE_OPEN, MSG_EDGE_REPORT, MSG_METRICS, MSG_FRONT_COUNTS,
        MSG_UPDATE_POLL, MSG_UPDATE_REPORT, MSG_ORDER_GET, MSG_ORDER_OF, MSG_ARTIFACT_ADD, MSG_ARTIFACT_REMOVE, MSG_DEVICE_TAGS, MSG_ROLLOUT_ADD, MSG_ROLLOUT_MOVE, MSG_DEVICE_ORDER,
        MSG_DEVICE_RESET, MSG_ENROLL_DECIDE, MSG_ANCHOR_ADD, MSG_ANCHOR_REMOVE, MSG_ANCHOR_CRL, MSG_IDEVID_FORGET, MSG_KEY_BLOCK, MSG_KEY_UNBLOCK, MSG_CMP_CONFIRM, MSG_CMP_POLL, MSG_CMP_REVOKE, MSG_CMP_CHECK,
        MSG_CMP_PROTECT, MSG_SECRET_ADD, MSG_ATTEST_BEGIN, MSG_ATTEST_END, MSG_DEVICE_EK, MSG_EK_CA, MSG_MASS_ADD, MSG_MASS_MOVE } },
    { ROLE_CORE, ROLE_FRONT, { MSG_REPLY, MSG_PUSH_IDENT, MSG_PUSH_CA, MSG_PUSH_CERT, MSG_PUSH_FRAME, MSG_PUSH_META, MSG_PUSH_TOKENS, MSG_PUSH_UPDATE, MSG_PUSH_LINE, MSG_PUSH_ANCHOR, MSG_PUSH_READY } },
    { ROLE_FRONT, ROLE_QUERY, { MSG_QUERY, MSG_QUERY_CANCEL } },
    { ROLE_QUERY, ROLE_FRONT, { MSG_REPLY } },
    { ROLE_FRONT, ROLE_DEPOT, { MSG_UPLOAD_OPEN, MSG_UPLOAD_PUT, MSG_UPLOAD_GET, MSG_UPLOAD_FINISH, MSG_ARTIFACT_DROP, MSG_TOKEN_MAKE, MSG_TOKEN_CHECK, MSG_DELTA_GET,
                               MSG_KEY_GET } },
    { ROLE_DEPOT, ROLE_FRONT, { MSG_REPLY } },
    { ROLE_CORE, ROLE_SIGNER, { MSG_SIGN_CERT, MSG_SIGN_CRL_BEGIN, MSG_SIGN_CRL_PART, MSG_SIGN_CRL_END, MSG_SIGN_OCSP, MSG_SIGN_HEAD, MSG_SIGN_FRAME, MSG_SIGN_SNAPSHOT,
                                MSG_SIGN_META, MSG_SIGN_DIRECTIVE, MSG_SIGN_CMP } },
    { ROLE_SIGNER, ROLE_CORE, { MSG_SIGNED } },
    { ROLE_CORE, ROLE_HSM, { MSG_SIGN_CERT, MSG_SIGN_CRL_BEGIN, MSG_SIGN_CRL_PART, MSG_SIGN_CRL_END, MSG_SIGN_OCSP, MSG_SIGN_HEAD, MSG_SIGN_FRAME, MSG_SIGN_SNAPSHOT,
                             MSG_SIGN_META, MSG_SIGN_DIRECTIVE, MSG_SIGN_CMP } },
    { ROLE_HSM, ROLE_CORE, { MSG_SIGNED, MSG_HSM_STATE } },
    { ROLE_PARENT, ROLE_FRONT, { MSG_ROLE_SETUP, MSG_ROLE_PEER, MSG_ROLE_GO, MSG_ROLE_DRAIN } },
    { ROLE_PARENT, ROLE_QUERY, { MSG_ROLE_SETUP, MSG_ROLE_PEER, MSG_ROLE_GO, MSG_ROLE_DRAIN } },
    { ROLE_PARENT, ROLE_DEPOT, { MSG_ROLE_SETUP, MSG_ROLE_PEER, MSG_ROLE_GO, MSG_ROLE_DRAIN } },
    { ROLE_PARENT, ROLE_CORE, { MSG_ROLE_SETUP, MSG_ROLE_PEER, MSG_ROLE_GO, MSG_ROLE_DRAIN, MSG_ROLE_LOST } },
    { ROLE_PARENT, ROLE_SIGNER, { MSG_ROLE_SETUP, MSG_ROLE_PEER, MSG_ROLE_GO } },
    { ROLE_PARENT, ROLE_HSM, { MSG_ROLE_SETUP, MSG_ROLE_PEER, MSG_ROLE_GO } },
    { ROLE_FRONT, ROLE_PARENT, { MSG_ROLE_READY, MSG_ROLE_BEAT } },
    { ROLE_QUERY, ROLE_PARENT, { MSG_ROLE_READY, MSG_ROLE_BEAT } },
    { ROLE_DEPOT, ROLE_PARENT, { MSG_ROLE_READY, MSG_ROLE_BEAT } },
    { ROLE_CORE, ROLE_PARENT, { MSG_ROLE_READY, MSG_ROLE_BEAT } },
    { ROLE_SIGNER, ROLE_PARENT, { MSG_ROLE_READY } },
    { ROLE_HSM, ROLE_PARENT, { MSG_ROLE_READY } },
};

const char *role_name(enum role r)
{
    return (unsigned)r < ROLE_COUNT ? names[r] : "unknown";
}

enum role role_find(const char *name)
{
    for (unsigned i = 0; i < ROLE_COUNT; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum role)i;
    return ROLE_COUNT;
}

bool edge_exists(enum role a, enum role b)
{
    for (size_t i = 0; a != ROLE_PARENT && b != ROLE_PARENT && i < ARRAY_LEN(edges); i++)
        if (edges[i].from == a && edges[i].to == b)
            return true;
    return false;
}

bool edge_permits(enum role from, enum role to, uint16_t type)
{
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        if (edges[i].from != from || edges[i].to != to)
            continue;
        for (size_t k = 0; k < ARRAY_LEN(edges[i].types) && edges[i].types[k]; k++)
            if (edges[i].types[k] == type)
                return true;
    }
    return false;
}
