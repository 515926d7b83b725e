/* policyfile.c: see policyfile.h. */
#include "snap/policyfile.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "wire/snapshot.h"

void policyfile_path(char out[PATH_MAX_LEN], const char *dir, const uint8_t key[SNAPSHOT_KEY])
{
    CLEANUP(buf_free) struct buf hex = BUF_INIT(2 * SNAPSHOT_KEY + 1);
    buf_put_hex(&hex, span_of(key, SNAPSHOT_KEY));
    path_join(out, "%s/" POLICYFILE "%s", dir, buf_cstr(&hex));
}

enum err policyfile_load(const char *dir, const uint8_t key[SNAPSHOT_KEY], struct policyfile **out, struct fault *f)
{
    CLEANUP(buf_free) struct buf doc = BUF_INIT(POLICY_MAX);
    char path[PATH_MAX_LEN];
    uint8_t found[SNAPSHOT_KEY];
    struct stat st;
    struct fault why;
    struct policy *policy = NULL;
    *out = NULL;
    policyfile_path(path, dir, key);
    enum err e = file_read(path, &doc);
    if (!e && stat(path, &st))
        e = CE_IO;
    if (e)
        return fault_set(f, e, "%s: the policy in force cannot be read: %s (cradle-edge -s)", path, strerror(errno));
    snapshot_key_policy(buf_span(&doc), found);
    if (memcmp(found, key, SNAPSHOT_KEY) != 0)
        return fault_set(f, CE_BAD_SIGNATURE, "%s: its bytes are not those that the signed snapshot names", path);
    e = policy_parse(buf_span(&doc), &policy, &why);
    if (e)
        return fault_set(f, e, "%s: %s", path, why.text);
    struct policyfile *p = mem_calloc(1, sizeof *p);
    p->policy = policy;
    memcpy(p->key, key, SNAPSHOT_KEY);
    p->stored_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    atomic_init(&p->refs, 1);
    *out = p;
    return CE_OK;
}

struct policyfile *policyfile_ref(struct policyfile *p)
{
    if (p)
        atomic_fetch_add(&p->refs, 1);
    return p;
}

void policyfile_drop(struct policyfile *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    policy_free(p->policy);
    free(p);
}
