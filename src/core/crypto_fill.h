/* crypto_fill.h: the part that fills the inventory of algorithms with what was issued before it was there. What it is not: the inventory itself, which every certificate
 * keeps (store/crypto.h). */
#ifndef CRADLE_CORE_CRYPTO_FILL_H
#define CRADLE_CORE_CRYPTO_FILL_H

#include "core/batch.h"

#define CRYPTO_PIECE 250 /* devices looked at in one batch */

extern const struct core_part crypto_fill_part;

#endif
