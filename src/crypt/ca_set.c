/* ca_set.c: see ca_set.h. */
#include "crypt/ca_set.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

static const char *const uses[CA_USES] = { "", "root", "link", "device", "infra", "idevid" };
static const char *const states[CA_STATES] = { "", "active", "passive", "retired", "compromised" };

static unsigned word_find(const char *const *words, unsigned n, struct span word)
{
    for (unsigned i = 1; i < n; i++)
        if (span_eq_str(word, words[i]))
            return i;
    return 0;
}

const char *ca_use_name(enum ca_use u) { return (unsigned)u < CA_USES ? uses[u] : ""; }
enum ca_use ca_use_find(struct span word) { return (enum ca_use)word_find(uses, CA_USES, word); }
const char *ca_state_name(enum ca_state s) { return (unsigned)s < CA_STATES ? states[s] : ""; }
enum ca_state ca_state_find(struct span word) { return (enum ca_state)word_find(states, CA_STATES, word); }

static bool ends_with(struct span s, const char *tail)
{
    size_t n = strlen(tail);
    return s.n > n && memcmp(s.p + s.n - n, tail, n) == 0;
}

static bool has_part(struct span s, const char *part) { return memmem(s.p, s.n, part, strlen(part)) != NULL; }

enum err ca_name_check(struct span name, struct fault *f)
{
    enum err e = name_check_label("a CA's name", name, f);
    if (!e && (span_starts(name, "root") || span_eq_str(name, "bundle") || span_eq_str(name, "cmp") || ends_with(name, "-ocsp") || has_part(name, CA_LINK_PART) || name.n > 40))
        e = fault_set(f, CE_BAD_NAME, "a CA's name has 40 characters at most, does not begin with root, does not end with -ocsp, has no " CA_LINK_PART " in it, and is neither bundle nor cmp");
    return e;
}

static bool key_there(const char *site_dir, const char *name, const char *suffix)
{
    char path[PATH_MAX_LEN];
    if (!suffix)
        return true;
    path_join(path, "%s/keys/%s%s", site_dir, name, suffix);
    return file_exists(path);
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

enum err ca_names_list(const char *site_dir, const char *suffix, struct ca_names *out, struct fault *f)
{
    char path[PATH_MAX_LEN], name[LABEL_MAX + 1];
    struct dirent *d;
    enum err e = CE_OK;
    *out = (struct ca_names){ .n = 0 };
    path_join(path, "%s/ca", site_dir);
    DIR *folder = opendir(path);
    if (!folder)
        return fault_set(f, err_from_errno(errno), "%s: %s", path, strerror(errno));
    while (!e && (d = readdir(folder))) {
        struct span stem = span_str(d->d_name);
        if (!ends_with(stem, ".pem"))
            continue;
        stem.n -= strlen(".pem");
        if (ca_name_check(stem, NULL) || span_to_cstr(stem, name, sizeof name) || !key_there(site_dir, name, suffix))
            continue;
        if (out->n == CA_SET_MAX)
            e = fault_set(f, CE_BAD_CONFIG, "%s has more than %d CAs", path, CA_SET_MAX);
        else
            memcpy(out->name[out->n++], name, sizeof name);
    }
    closedir(folder);
    qsort(out->name, out->n, sizeof out->name[0], by_name);
    return e;
}
