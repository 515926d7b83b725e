/* schema.h: the tables, their version, and migrations by command. See schema.c for the columns.
 * Migrations: first expand (new tables and columns; both versions run), later contract (drop what nobody reads); only by
 * `cradled -m`, never by itself at start. */
#ifndef CRADLE_STORE_SCHEMA_H
#define CRADLE_STORE_SCHEMA_H

#include "store/db.h"

#define SCHEMA_VERSION 2

/* Creates every table in an empty database and writes the version. */
MUST_USE enum err schema_create(struct db *db, struct fault *f);
/* CE_OK when the database has SCHEMA_VERSION; CE_SCHEMA otherwise, with the command to run; CE_NOT_FOUND when it has no tables. */
MUST_USE enum err schema_check(struct db *db, struct fault *f);
/* Runs the migrations from the database's version to SCHEMA_VERSION, each in a transaction. from, to (may be NULL) say what was done. */
MUST_USE enum err schema_migrate(struct db *db, bool contract, int64_t *from, int64_t *to, struct fault *f);

#endif
