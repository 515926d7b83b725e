/* signer.c: opening the signer, the table of what it answers, and the reply around each answer. The answers are signer_ops.c,
 * signer_crl.c and signer_update.c.
 * See signer.h. */
#include "role/signer.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "role/signer_impl.h"
#include "token/key_file.h"

/* -- opening ------------------------------------------------------------------------------------------------------ */
/* What is in a token is not this process's to have. */
static enum err open_file(void *ctx, const char *dir, const char *name, struct key **out, struct fault *f)
{
    (void)ctx;
    *out = NULL;
    if (!key_is_in_token(dir, name))
        return key_source_files.open(NULL, dir, name, out, f);
    char path[PATH_MAX_LEN];
    path_join(path, "%s/keys/%s.key", dir, name);
    return file_exists(path) ? fault_set(f, CE_BAD_CONFIG, "%s/keys has both %s.key and %s.uri: remove the one that is not the key", dir, name, name) : CE_OK;
}
static const struct key_source source_files = { open_file, NULL };

static enum err load_cas(struct signer *s, const struct signer_config *cfg, struct fault *f)
{
    static const char *const suffixes[] = { ".key", ".uri" };
    enum err e = CE_OK;
    for (size_t k = 0; !e && k < ARRAY_LEN(suffixes); k++) {
        struct ca_names names;
        e = ca_names_list(cfg->dir, suffixes[k], &names, f);
        for (size_t i = 0; !e && i < names.n; i++) {
            if (s->n_cas == CA_SET_MAX)
                return fault_set(f, CE_BAD_CONFIG, "%s/ca has more than %d CAs", cfg->dir, CA_SET_MAX);
            struct ca *ca = &s->cas[s->n_cas];
            if ((e = ca_load(ca, cfg->dir, names.name[i], cfg->base_url, cfg->n_shards, s->cfg.keys, f)))
                return e;
            memcpy(s->ca_meter[s->n_cas++].kid, ca->cert.ski.p, sizeof s->ca_meter[0].kid);
        }
    }
    return e;
}

/* The others go on: what they issued is still revoked and answered for. */
static enum err tell_lost(const struct signer *s, const struct signer_config *cfg, struct fault *f)
{
    struct ca_names all;
    enum err e = ca_names_list(cfg->dir, NULL, &all, f);
    for (size_t i = 0; !e && i < all.n; i++) {
        bool here = false;
        for (size_t k = 0; k < s->n_cas; k++)
            here = here || strcmp(s->cas[k].name, all.name[i]) == 0;
        if (!here)
            log_error(0, "CA %s has no key (keys/%s.key or keys/%s.uri): it issues nothing, and its CRLs and OCSP answers are not renewed; restore the key, or make "
                         "another CA active", all.name[i], all.name[i], all.name[i]);
    }
    return e;
}

static enum err load_profile(struct signer *s, const char *dir, const char *file, struct fault *f)
{
    char name[LABEL_MAX + 1];
    struct span stem = span_str(file);
    stem.n -= strlen(".conf");
    if (s->n_profiles == SIGNER_PROFILES_MAX)
        return fault_set(f, CE_BAD_CONFIG, "%s/profiles has more than %d profiles", dir, SIGNER_PROFILES_MAX);
    if (span_to_cstr(stem, name, sizeof name))
        return fault_set(f, CE_BAD_CONFIG, "%s/profiles/%s: the name is longer than %d characters", dir, file, LABEL_MAX);
    enum err e = profile_load(dir, name, &s->profiles[s->n_profiles], f);
    s->n_profiles += e == CE_OK;
    return e;
}

static enum err load_profiles(struct signer *s, const char *dir, struct fault *f)
{
    char path[PATH_MAX_LEN];
    enum err e = CE_OK;
    struct dirent *d;
    path_join(path, "%s/profiles", dir);
    DIR *folder = opendir(path);
    if (!folder)
        return fault_set(f, err_from_errno(errno), "%s: %s", path, strerror(errno));
    while (!e && (d = readdir(folder))) {
        size_t n = strlen(d->d_name);
        if (d->d_name[0] != '.' && n > 5 && strcmp(d->d_name + n - 5, ".conf") == 0)
            e = load_profile(s, dir, d->d_name, f);
    }
    closedir(folder);
    if (!e && s->n_profiles == 0)
        e = fault_set(f, CE_BAD_CONFIG, "%s has no profile (NAME.conf)", path);
    return e;
}

static enum err load_log_key(struct signer *s, const char *dir, struct fault *f)
{
    CLEANUP(buf_free) struct buf vkey = BUF_INIT(4096);
    char path[PATH_MAX_LEN];
    uint8_t pub[ED25519_PUB];
    enum err e = s->cfg.keys->open(s->cfg.keys->ctx, dir, "log", &s->log_key, f);
    if (e || !s->log_key)
        return e;
    path_join(path, "%s/trust/log.pub", dir);
    e = file_read(path, &vkey);
    if (e)
        return fault_set(f, e, "%s: %s", path, err_text(e));
    e = note_key_parse(buf_span(&vkey), &s->log_name, f);
    if (e)
        return e;
    if (ed25519_public(s->log_key, pub) || memcmp(pub, s->log_name.pub, sizeof pub) != 0)
        return fault_set(f, CE_BAD_CONFIG, "the key log is not the key that %s names", path);
    return CE_OK;
}

/* Signs once with every key and issues once from every profile, so that what libraries read or open late is read now. */
static enum err rehearse(struct signer *s, struct fault *f)
{
    uint8_t sig[ED25519_SIG];
    enum err e = CE_OK;
    tzset();
    for (size_t i = 0; !e && i < s->n_profiles; i++)
        e = signer_rehearse_profile(s, &s->profiles[i], f);
    if (!e && ((s->log_key && ed25519_sign(s->log_key, SPAN_LIT("rehearsal"), sig)) || (s->stream_key && ed25519_sign(s->stream_key, SPAN_LIT("rehearsal"), sig))))
        e = fault_set(f, CE_CRYPTO, "the keys log and stream must be Ed25519 keys");
    return e;
}

enum err signer_open(const struct signer_config *cfg, struct signer **out, struct fault *f)
{
    struct signer *s = mem_calloc(1, sizeof *s);
    enum err e = CE_OK;
    *out = NULL;
    s->cfg = *cfg;
    if (!s->cfg.keys)
        s->cfg.keys = &source_files;
    e = load_cas(s, cfg, f);
    if (!e && s->cfg.keys == &source_files)
        e = tell_lost(s, cfg, f);
    if (!e)
        e = load_profiles(s, cfg->dir, f);
    if (!e)
        e = load_log_key(s, cfg->dir, f);
    if (!e)
        e = s->cfg.keys->open(s->cfg.keys->ctx, cfg->dir, "stream", &s->stream_key, f);
    if (!e && random_bytes(s->run, sizeof s->run))
        e = fault_set(f, CE_CRYPTO, "no random numbers for the signer");
    if (!e && !cfg->unrehearsed)
        e = rehearse(s, f);
    if (!e)
        e = signer_update_open(s, cfg->dir, f);
    if (!e)
        e = signer_cmp_open(s, cfg->dir, f);
    if (e) {
        signer_close(s);
        return e;
    }
    s->cfg.keys = NULL; /* borrowed for opening */
    *out = s;
    return CE_OK;
}

void signer_close(struct signer *s)
{
    if (!s)
        return;
    signer_crls_close(s);
    for (size_t i = 0; i < s->n_cas; i++)
        ca_close(&s->cas[i]);
    key_free(s->log_key);
    key_free(s->stream_key);
    signer_update_close(s);
    signer_cmp_close(s);
    arena_free(&s->arena);
    buf_free(&s->body);
    free(s);
}

uint64_t signer_counter(const struct signer *s) { return s->counter; }

/* -- answering ------------------------------------------------------------------------------------------------------ */

#define OP(lower, UPPER) { MSG_##UPPER, &msg_desc_##lower, signer_##lower }
static const struct signer_op {
    uint16_t type;
    const struct msg_desc *desc;
    enum err (*answer)(struct signer *s, const union signer_request *r, struct buf *body, struct fault *f);
} ops[] = {
    OP(sign_cert, SIGN_CERT), OP(sign_ocsp, SIGN_OCSP),   OP(sign_crl_begin, SIGN_CRL_BEGIN), OP(sign_crl_part, SIGN_CRL_PART), OP(sign_crl_end, SIGN_CRL_END),
    OP(sign_head, SIGN_HEAD), OP(sign_frame, SIGN_FRAME), OP(sign_snapshot, SIGN_SNAPSHOT),
    OP(sign_meta, SIGN_META), OP(sign_directive, SIGN_DIRECTIVE), OP(sign_cmp, SIGN_CMP),
};

/* Only core speaks to the signer: a frame that is not right is a defect or an attack, and the process ends. */
_Noreturn static void bad_framing(const struct ipc_frame *in)
{
    log_error(in->rid, "bad internal framing: type 0x%04x, %zu bytes; the signer stops", in->type, in->body.n);
    abort();
}

static void reply(struct signer *s, uint64_t rid, enum err e, const struct fault *f, struct buf *out)
{
    if ((e == CE_TOKEN_LOST || e == CE_CRYPTO) && s->cfg.is_lost && s->cfg.is_lost(s->cfg.lost_ctx))
        e = CE_TOKEN_LOST;
    struct msg_signed m = { .code = e, .counter = (int64_t)s->counter };
    if (!e && s->by) {
        m.kid = span_of(s->by->kid, sizeof s->by->kid);
        m.run = span_of(s->run, sizeof s->run);
        m.counter = (int64_t)s->by->n;
    }
    if (e)
        m.text = f->text[0] ? span_str(f->text) : span_str(err_text(e));
    else
        m.body = buf_span(&s->body);
    CLEANUP(buf_free) struct buf packed = BUF_INIT(IPC_MAX);
    msg_pack(&msg_desc_signed, &m, &packed);
    ipc_frame_put(out, MSG_SIGNED, rid, buf_span(&packed));
}

void signer_handle(struct signer *s, const struct ipc_frame *in, struct buf *out)
{
    const struct signer_op *op = NULL;
    union signer_request r;
    struct fault f = { .code = CE_OK };
    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        if (ops[i].type == in->type)
            op = &ops[i];
    if (!op || msg_unpack_all(op->desc, in->body, &r) != CE_OK)
        bad_framing(in);
    buf_reset(&s->body);
    s->body.max = SIGNER_BODY_MAX;
    s->by = NULL;
    enum err e = op->answer(s, &r, &s->body, &f);
    if (!e)
        e = buf_err(&s->body);
    if (!e && in->type != MSG_SIGN_CRL_BEGIN && in->type != MSG_SIGN_CRL_PART) { /* these sign nothing yet */
        s->counter++;
        if (s->by)
            s->by->n++;
    }
    reply(s, in->rid, e, &f, out);
}
