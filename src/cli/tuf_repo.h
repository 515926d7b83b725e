/* tuf_repo.h: the folder of a release ceremony: N.root.json, N.targets.json, N.LINE.json, one DSSE envelope a file and version. The
 * newest version of a role is a draft until enough keys have signed it; then it is complete, and the next change makes the next
 * version. The folder holds no private key, so it may travel on a USB stick between the people who sign.
 */
#ifndef CRADLE_CLI_TUF_REPO_H
#define CRADLE_CLI_TUF_REPO_H

#include "base/file.h"
#include "base/name.h"
#include "cli/cli.h"
#include "wire/tuf.h"

struct repo_file { /* the newest version of a role */
    char role[LABEL_MAX + 1];
    int64_t version;          /* 0: there is none */
    struct tuf_head head;
    struct dsse env;
    int64_t signed_by, threshold; /* how many keys of the role signed; of a root the smaller of what old and new root ask for */
    bool complete;
};
struct repo {
    char dir[PATH_MAX_LEN];
    struct arena arena;
    struct tuf_root root;      /* newest complete root; the draft when there is no complete one */
    struct repo_file root_file, targets_file; /* newest versions, drafts too */
    struct tuf_root new_root;  /* of root_file */
    struct tuf_targets targets; /* of targets_file */
    int64_t root_version;      /* of root */
};

/* Reads and verifies the folder. CE_NOT_FOUND: no ceremony was begun there. */
MUST_USE enum err repo_open(struct repo *r, const char *dir, struct fault *f);
void repo_close(struct repo *r);
/* The newest version of a line's role; version 0 when there is none. */
MUST_USE enum err repo_line(struct repo *r, const char *line, struct repo_file *out, struct fault *f);
const struct tuf_role *repo_line_role(const struct repo *r, struct span line); /* its delegation, or NULL */
/* Writes an envelope as DIR/VERSION.ROLE.json. */
MUST_USE enum err repo_put(const struct repo *r, const char *role, int64_t version, const struct dsse *env, struct fault *f);
MUST_USE enum err repo_put_root(struct repo *r, struct tuf_root *root, struct fault *f);          /* as the next draft */
MUST_USE enum err repo_put_targets(struct repo *r, struct tuf_targets *targets, struct fault *f);
MUST_USE enum err repo_put_line(struct repo *r, const char *line, struct tuf_line *l, struct fault *f);
/* Is another version there that has been replaced? Reads DIR/VERSION.ROLE.json. CE_NOT_FOUND. */
MUST_USE enum err repo_read(struct repo *r, const char *role, int64_t version, struct dsse *env, struct fault *f);

/* Public keys from files (PEM SubjectPublicKeyInfo): adds the key to keys (once) and its id to role. */
MUST_USE enum err repo_key_add(struct repo *r, const char *path, struct tuf_keys *keys, struct tuf_role *role, struct fault *f);
/* Devices count P-256 keys only. Warns on stderr of each other key of role, and refuses a role whose P-256 keys alone cannot reach its threshold,
 * unless the option NOT_FOR_DEVICES is given. what: the role's name. CE_USAGE. */
#define NOT_FOR_DEVICES "--not-for-devices"
#define NOT_FOR_DEVICES_OPT { NOT_FOR_DEVICES, NULL, "let other keys than P-256 be needed to reach a threshold: no device will accept what they sign", false }
MUST_USE enum err repo_role_judge(const struct cli *c, const struct tuf_keys *keys, const struct tuf_role *role, const char *what, struct fault *f);
void repo_key_drop(struct tuf_role *role, struct span keyid);  /* from a role; not there: nothing */
void repo_keys_tidy(struct tuf_keys *keys, const struct tuf_role *const *roles, size_t n); /* drops keys that no role names */

#endif
