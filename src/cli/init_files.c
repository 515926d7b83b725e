/* init_files.c: configuration, profiles, birth.json of a new site, and who owns its files when root made it. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/init.h"
#include "crypt/hash.h"
#include "crypt/oid_text.h"
#include "crypt/profile.h"

#define TEXT_FILE_MAX 65536
#define UID_FIRST 61184u  /* systemd's range for dynamic users: no package hands these out */
#define UID_LAST 65518u

static void put_span_s(struct buf *out, int64_t s)
{
    static const struct { int64_t s; char unit; } units[] = { { 365 * 86400, 'y' }, { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' } };
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (s >= units[i].s && s % units[i].s == 0) {
            buf_printf(out, "%lld%c", (long long)(s / units[i].s), units[i].unit);
            return;
        }
    buf_printf(out, "%lld", (long long)s);
}

/* Is this line "key = …", perhaps commented out? */
static bool line_is_key(struct span line, const char *key)
{
    line = span_trim(line);
    while (line.n && line.p[0] == '#')
        line = span_trim(span_of(line.p + 1, line.n - 1));
    struct span name, value = line;
    return memchr(line.p, '=', line.n) && span_cut(&value, '=', &name) && span_eq_str(span_trim(name), key);
}

/* Replaces the line of key (commented out or not) by "key = TIME"; appends it when there is none. */
static void conf_set_span(struct buf *text, const char *key, int64_t s)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(TEXT_FILE_MAX);
    struct span rest = buf_span(text), line;
    bool done = false;
    while (span_cut(&rest, '\n', &line)) {
        if (line_is_key(line, key) && !done) {
            buf_printf(&out, "%s = ", key);
            put_span_s(&out, s);
            done = true;
        } else if (!line_is_key(line, key))
            buf_put_span(&out, line);
        else
            continue;
        buf_put_u8(&out, '\n');
    }
    if (!done) {
        buf_printf(&out, "%s = ", key);
        put_span_s(&out, s);
        buf_put_u8(&out, '\n');
    }
    buf_reset(text);
    buf_put_span(text, buf_span(&out));
}

/* A hardware type that is nobody else's: 2.25 and a random UUID (X.667, RFC 9562 5.4). */
static enum err hw_type_put(struct buf *text, struct fault *f)
{
    CLEANUP(buf_free) struct buf oid = BUF_INIT(0);
    uint8_t uuid[16];
    if (random_bytes(uuid, sizeof uuid))
        return fault_set(f, CE_CRYPTO, "no random numbers");
    uuid[6] = (uint8_t)(0x40 | (uuid[6] & 0x0f));
    uuid[8] = (uint8_t)(0x80 | (uuid[8] & 0x3f));
    oid_uuid(uuid, &oid);
    buf_put_str(text, "hw_type = ");
    oid_to_text(buf_span(&oid), text);
    buf_put_u8(text, '\n');
    return buf_err(text);
}

enum err init_profiles(struct init *in, struct fault *f)
{
    static const char *const names[] = { "device", "operator", PROFILE_IDEVID };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP(buf_free) struct buf text = BUF_INIT(TEXT_FILE_MAX);
        INVARIANT(profile_default_text(names[i], span_str(in->org), &text));
        struct profile p;
        enum err e = i == 2 ? hw_type_put(&text, f) : CE_OK;
        e = e ? e : profile_parse(names[i], buf_span(&text), &p, f);
        if (!e && i == 0 && p.validity_s != in->device_s)
            conf_set_span(&text, "validity_s", in->device_s);
        if (!e && i == 0 && p.validity_max_s < in->device_s)
            conf_set_span(&text, "validity_max_s", in->device_s);
        char file[64];
        snprintf(file, sizeof file, "profiles/%s.conf", names[i]);
        if (e || (e = init_put(in, file, buf_span(&text), 0644, f)))
            return e;
    }
    return CE_OK;
}

static bool only_loopback(const char *hosts)
{
    struct span rest = span_str(hosts), h;
    while (span_cut(&rest, ' ', &h))
        if (h.n && !span_eq_str(h, "localhost") && !span_starts(h, "127.") && !span_eq_str(h, "::1"))
            return false;
    return true;
}

enum err init_config(struct init *in, struct fault *f)
{
    CLEANUP(buf_free) struct buf t = BUF_INIT(TEXT_FILE_MAX);
    buf_printf(&t, "# cradled.conf: the configuration of the site '%s'. All keys with their defaults: cradled -T DIR, cradled.conf(5).\n"
                   "# After a change: cradled -t DIR checks it, SIGHUP to cradled takes it over.\n\n", in->name);
    buf_printf(&t, "# Organisation, as in the certificates.\norg = %s\n\n", in->org);
    buf_printf(&t, "# This server in the URLs that certificates carry. They are in every certificate: do not change host and http_port later.\n"
                   "host = %s\nhttps_port = %lld   # EST, REST API, edge stream (mutual TLS)\nhttp_port = %lld    # OCSP, CRLs, CA certificates\n\n",
               in->host, (long long)in->port, (long long)in->port + 1);
    buf_printf(&t, "# Addresses to listen on, separated by spaces.\nlisten = %s%s\n\n", only_loopback(in->hosts) ? "127.0.0.1" : "0.0.0.0",
               !strchr(in->hosts, ':') ? "" : only_loopback(in->hosts) ? " [::1]" : " [::]");
    buf_printf(&t, "# CRL shards of each issuing CA; the certificates name theirs: never change it.\nn_shards = %d\n", INIT_SHARDS);
    if (in->uid)
        buf_printf(&t, "\n# The service gives up root for this user; the signer alone, owner of keys/, runs as another.\n"
                       "user = %s\nsigner_user = %s\n", in->user, in->signer_user);
    enum err e = init_put(in, "cradled.conf", buf_span(&t), 0644, f);
    if (!e)
        cli_say(in->c, "made %-38s %scradled.conf, profiles/device.conf, profiles/operator.conf, profiles/idevid.conf%s", "configuration",
                cli_tint(in->c, TINT_DIM), cli_tint(in->c, TINT_NONE));
    return e;
}

enum err init_birth(struct init *in, struct fault *f)
{
    CLEANUP(buf_free) struct buf t = BUF_INIT(TEXT_FILE_MAX);
    struct json_out j = JSON_OUT(&t);
    char url[CA_URL_MAX + 16];
    bool v6 = strchr(in->host, ':') != NULL;
    snprintf(url, sizeof url, "https://%s%s%s:%lld", v6 ? "[" : "", in->host, v6 ? "]" : "", (long long)in->port);
    json_obj(&j, NULL);
    json_cstr(&j, "format", "cradle-birth-1");
    json_obj(&j, "site");
    json_cstr(&j, "name", in->name);
    json_cstr(&j, "org", in->org);
    json_cstr(&j, "url", url);
    json_cstr(&j, "http_url", in->base_url);
    json_obj_end(&j);
    json_arr(&j, "cas");
    const struct ca *all[] = { &in->root, &in->device, &in->infra };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        json_obj(&j, NULL);
        json_cstr(&j, "name", all[i]->name);
        json_hex(&j, "kid", all[i]->cert.ski);
        json_base64(&j, "der", all[i]->cert.der);
        json_obj_end(&j);
    }
    json_arr_end(&j);
    json_arr(&j, "operators");
    json_obj(&j, NULL);
    json_cstr(&j, "name", "admin");
    json_cstr(&j, "role", "admin");
    json_cstr(&j, "lines", "");
    json_base64(&j, "cert", buf_span(&in->admin_der));
    json_obj_end(&j);
    json_arr_end(&j);
    json_arr(&j, "lines");
    json_arr_end(&j);
    json_obj_end(&j);
    buf_put_u8(&t, '\n');
    return init_put(in, "birth.json", buf_span(&t), 0644, f);
}

/* -- owners --------------------------------------------------------------------------------------------------------------- */
static void user_pick(const char *name, uint32_t wish, uid_t *uid, gid_t *gid, char *text, size_t cap)
{
    struct passwd *p = getpwnam(name);
    if (p) {
        *uid = p->pw_uid;
        *gid = p->pw_gid;
        snprintf(text, cap, "%s", name);
        return;
    }
    while (getpwuid((uid_t)wish))
        wish = wish >= UID_LAST ? UID_FIRST : wish + 1;
    *uid = (uid_t)wish;
    *gid = (gid_t)wish;
    snprintf(text, cap, "%u", (unsigned)wish);
}

void init_users(struct init *in)
{
    if (geteuid() != 0)
        return;
    uint8_t h[SHA256_LEN];
    sha256(span_str(in->dir), h); /* the same folder gets the same numbers again */
    uint32_t first = UID_FIRST + ((uint32_t)h[0] << 8 | h[1]) % (UID_LAST - UID_FIRST) / 2 * 2;
    user_pick("cradle", first, &in->uid, &in->gid, in->user, sizeof in->user);
    user_pick("cradle-signer", first + 1, &in->signer_uid, &in->signer_gid, in->signer_user, sizeof in->signer_user);
}

/* Whose is what: S the signer's alone, U the service's alone, R root's alone, P root's and public to read. */
static const struct owner_row { const char *dir; char who; } owner_rows[] = {
    { "keys", 'S' }, { "db", 'U' },   { "log", 'U' },     { "pub", 'U' },      { "run", 'U' }, { "tls", 'U' },
    { "artifact", 'U' }, { "delta", 'U' }, { "depot", 'U' },
    { "ca", 'P' },   { "trust", 'P' }, { "profiles", 'P' }, { "operators", 'R' }, { "offline", 'R' },
};

static struct { uid_t uid; gid_t gid; mode_t dir_mode; } walk; /* nftw has no argument for its callback */

static int own_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)at;
    if (lchown(path, walk.uid, walk.gid))
        return -1;
    return kind == FTW_D || kind == FTW_DP ? chmod(path, walk.dir_mode) : 0;
}

enum err init_owners(struct init *in, struct fault *f)
{
    if (!in->uid)
        return CE_OK;
    for (size_t i = 0; i < ARRAY_LEN(owner_rows); i++) {
        char path[PATH_MAX_LEN];
        char who = owner_rows[i].who;
        path_join(path, "%s/%s", in->tmp, owner_rows[i].dir);
        walk.uid = who == 'S' ? in->signer_uid : who == 'U' ? in->uid : 0;
        walk.gid = who == 'S' ? in->signer_gid : who == 'U' ? in->gid : 0;
        walk.dir_mode = who == 'P' ? 0755 : 0700;
        if (nftw(path, own_one, 16, FTW_PHYS))
            return fault_set(f, err_from_errno(errno), "cannot give %s to its user: %s", path, strerror(errno));
    }
    if (chmod(in->tmp, 0711))
        return fault_set(f, err_from_errno(errno), "cannot set the mode of %s: %s", in->tmp, strerror(errno));
    cli_say(in->c, "the service will run as user %s, its signer as user %s (see cradled.conf)", in->user, in->signer_user);
    return CE_OK;
}
