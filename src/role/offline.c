/* offline.c: see offline.h. */
#include "role/offline.h"

#include <stdio.h>

#include "base/mem.h"
#include "core/core.h"
#include "role/parent.h"
#include "store/db.h"
#include "store/schema.h"

static enum err migrate(bool contract, const char *path, struct fault *f)
{
    CLEANUP(db_close_p) struct db *db = NULL;
    int64_t from = 0, to = 0;
    enum err e = db_open(path, DB_CHECK, &db, f);
    if (!e)
        e = schema_migrate(db, contract, &from, &to, f);
    if (!e && from == to)
        printf("cradled: %s has schema version %lld already\n", path, (long long)to);
    else if (!e)
        printf("cradled: %s: schema version %lld became %lld\n", path, (long long)from, (long long)to);
    return e;
}

static enum err fold(const char *path, struct fault *f)
{
    CLEANUP(db_close_p) struct db *db = NULL;
    enum err e = db_open(path, DB_READONLY, &db, f);
    if (!e)
        e = core_fold_check(db, f);
    if (!e)
        printf("cradled: the events in %s add up to its tables\n", path);
    return e;
}

enum err offline_run(char mode, const char *site, const struct settings *s, struct fault *f)
{
    CLEANUP(fd_close_p) int lock = -1;
    struct identity id;
    char path[PATH_MAX_LEN];
    path_join(path, "%s/db/cradle.db", site);
    enum err e = mode == 'f' ? CE_OK : os_lock_site(site, &lock, f);
    if (!e)
        e = identity_find(s->user, &id, f);
    if (!e)
        e = identity_drop(&id, false, f);
    return e ? e : mode == 'f' ? fold(path, f) : migrate(mode == 'M', path, f);
}
