/* edges.h: which role may talk to which, and which message types may pass in each direction. The table is edges.c; every
 * frame sent or received by role/channel is checked against it, so a role that was taken over cannot speak out of turn.
 */
#ifndef CRADLE_ROLE_EDGES_H
#define CRADLE_ROLE_EDGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum role { ROLE_PARENT, ROLE_FRONT, ROLE_CORE, ROLE_QUERY, ROLE_SIGNER, ROLE_DEPOT, ROLE_HSM, ROLE_COUNT };

const char *role_name(enum role r);             /* "front"; never NULL */
enum role role_find(const char *name);          /* ROLE_COUNT when there is none */
bool edge_exists(enum role a, enum role b);     /* symmetric; parent-all excluded: those are not channels */
/* May a message of this type travel from one role to the other? */
bool edge_permits(enum role from, enum role to, uint16_t type);

#endif
