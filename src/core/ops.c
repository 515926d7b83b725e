/* ops.c: the table of operations, made from ops.def. */
#include "core/anchor.h"
#include "core/key_block.h"
#include "core/artifact.h"
#include "core/ca.h"
#include "core/attest.h"
#include "core/cert.h"
#include "core/cmp.h"
#include "core/drill.h"
#include "core/enroll.h"
#include "core/mass.h"
#include "core/ocsp.h"
#include "core/order.h"
#include "core/registry.h"
#include "core/revoke.h"
#include "core/rollout.h"
#include "core/stream.h"
#include "core/token.h"
#include "core/update.h"
#include "wire/route.h"

static const struct op rows[] = {
#define OP(MESSAGE, message, flags_, roles_, function) \
    { .type = MSG_##MESSAGE, .desc = &msg_desc_##message, .flags = (flags_), .roles = (roles_), .fn = function },
#include "core/ops.def"
#undef OP
};

const struct op *op_find(uint16_t type)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].type == type)
            return &rows[i];
    return NULL;
}
