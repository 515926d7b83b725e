/* token.c: finding a token, logging in, and doing so again when it was away. See token.h. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/mem.h"
#include "token/impl.h"

/* -- PIN ------------------------------------------------------------------------------------------------------------------ */
static enum err pin_read(struct token *t, const struct token_options *o, struct fault *f)
{
    char asked[TOKEN_PIN_MAX] = "";
    struct fault why;
    enum err e = CE_OK;
    CLEANUP(buf_free) struct buf file = BUF_INIT(4096);
    struct span line = { 0 };
    if (t->uri.pin_source[0]) {
        if ((e = file_read_private(t->uri.pin_source, &file, &why)))
            return fault_set(f, e, "the PIN file: %s", why.text);
        struct span rest = buf_span(&file);
        span_cut(&rest, '\n', &line);
        line = span_trim(line);
    } else if (o->need_pin || !o->ask_pin)
        return fault_set(f, CE_USAGE, "the PKCS#11 URI lacks pin-source=FILE");
    else {
        e = o->ask_pin(o->ask_ctx, t->uri.token[0] ? t->uri.token : t->uri.serial, asked, f);
        line = span_str(asked);
    }
    if (!e && (!line.n || line.n >= TOKEN_PIN_MAX))
        e = fault_set(f, CE_USAGE, "the PIN is empty or longer than %d characters", TOKEN_PIN_MAX - 1);
    if (!e) {
        t->pin = mmap(NULL, TOKEN_PIN_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        INVARIANT(t->pin != MAP_FAILED);
        if (mlock(t->pin, TOKEN_PIN_MAX) || madvise(t->pin, TOKEN_PIN_MAX, MADV_DONTDUMP))
            log_warn(0, "the page of a token's PIN cannot be locked in memory");
        memcpy(t->pin, line.p, line.n);
        t->pin_len = line.n;
    }
    mem_zero(asked, sizeof asked);
    return e;
}

static void pin_forget(struct token *t)
{
    if (!t->pin)
        return;
    mem_zero(t->pin, TOKEN_PIN_MAX);
    munmap(t->pin, TOKEN_PIN_MAX);
    t->pin = NULL;
}

enum err token_new(const struct pkcs11_uri *u, const struct token_options *o, struct token **out, struct fault *f)
{
    struct token *t = mem_calloc(1, sizeof *t);
    t->uri = *u;
    t->stay = o->stay;
    enum err e = module_use(u, &t->module, f);
    if (!e) {
        t->next = t->module->tokens;
        t->module->tokens = t;
        e = pin_read(t, o, f);
    }
    if (e)
        token_free(t);
    else
        *out = t;
    return e;
}

void token_free(struct token *t)
{
    if (!t)
        return;
    pin_forget(t);
    if (t->module) {
        if (t->keeper_open)
            t->module->ck->close_session(t->keeper);
        struct token **at = &t->module->tokens;
        while (*at != t)
            at = &(*at)->next;
        *at = t->next;
        module_leave(t->module);
    }
    free(t);
}

/* -- which one ------------------------------------------------------------------------------------------------------------ */
static struct span unpadded(const unsigned char *p, size_t n)
{
    while (n && (p[n - 1] == ' ' || p[n - 1] == 0))
        n--;
    return span_of(p, n);
}

static bool is_like(const unsigned char *padded, size_t n, const char *want) { return !want[0] || span_eq_str(unpadded(padded, n), want); }

static bool slot_is_like(const struct token *t, ck_ulong slot, struct ck_token_info *info)
{
    const struct pkcs11_uri *u = &t->uri;
    struct ck_slot_info s;
    if (u->has_slot && u->slot != slot)
        return false;
    if ((u->slot_description[0] || u->slot_manufacturer[0]) &&
        (t->module->ck->get_slot_info(slot, &s) != CKR_OK_ || !is_like(s.description, sizeof s.description, u->slot_description) ||
         !is_like(s.manufacturer, sizeof s.manufacturer, u->slot_manufacturer)))
        return false;
    return t->module->ck->get_token_info(slot, info) == CKR_OK_ && (info->flags & CKF_TOKEN_INITIALIZED_) &&
           is_like(info->label, sizeof info->label, u->token) && is_like(info->serial, sizeof info->serial, u->serial) &&
           is_like(info->manufacturer, sizeof info->manufacturer, u->manufacturer) && is_like(info->model, sizeof info->model, u->model);
}

static void info_take(struct token_info *out, const struct ck_token_info *in)
{
    const struct { struct span s; char *out; size_t cap; } rows[] = {
        { unpadded(in->label, sizeof in->label), out->label, sizeof out->label },
        { unpadded(in->serial, sizeof in->serial), out->serial, sizeof out->serial },
        { unpadded(in->manufacturer, sizeof in->manufacturer), out->manufacturer, sizeof out->manufacturer },
        { unpadded(in->model, sizeof in->model), out->model, sizeof out->model },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!span_is_utf8(rows[i].s) || span_to_cstr(rows[i].s, rows[i].out, rows[i].cap))
            snprintf(rows[i].out, rows[i].cap, "?");
}

/* Slots are asked for twice, first for their number only: that is when modules look at their readers again. */
static enum err token_find(struct token *t, struct ck_token_info *found, struct fault *f)
{
    const struct ck_functions *ck = t->module->ck;
    ck_ulong n = 0;
    size_t hits = 0;
    ck_rv rv = ck->get_slot_list(1, NULL, &n);
    ck_ulong cap = n + 4;
    CLEANUP(mem_free_p) ck_ulong *slots = mem_calloc(cap, sizeof *slots);
    if (rv == CKR_OK_) {
        n = cap;
        rv = ck->get_slot_list(1, slots, &n);
    }
    if (rv != CKR_OK_)
        return ck_fail(f, "list its slots", rv);
    for (ck_ulong i = 0; i < n && i < cap; i++) {
        struct ck_token_info info;
        if (!slot_is_like(t, slots[i], &info))
            continue;
        t->slot = slots[i];
        *found = info;
        hits++;
    }
    if (hits > 1)
        return fault_set(f, CE_EXISTS, "%zu PKCS#11 tokens are like the URI: name one of them with serial=", hits);
    return hits ? CE_OK
           : fault_set(f, CE_NOT_FOUND, "no initialized PKCS#11 token has %s '%s'", t->uri.token[0] ? "the label" : t->uri.serial[0] ? "the serial number" : "this slot",
                       t->uri.token[0] ? t->uri.token : t->uri.serial);
}

/* -- connecting; the module is locked exclusively ------------------------------------------------------------------------------ */
static enum err token_login(struct token *t, const struct ck_token_info *info, struct fault *f)
{
    bool pad = info->flags & CKF_PROTECTED_AUTHENTICATION_PATH_;
    if (!(info->flags & CKF_LOGIN_REQUIRED_))
        return CE_OK;
    if (t->pin_refused || (!pad && !t->pin))
        return fault_set(f, CE_CRYPTO, "the PKCS#11 token refused the PIN before; it is not tried again, because tokens lock themselves");
    ck_rv rv = t->module->ck->login(t->keeper, CKU_USER_, pad ? NULL : (const unsigned char *)t->pin, pad ? 0 : t->pin_len);
    t->pin_refused = rv >= CKR_PIN_INCORRECT_ && rv <= CKR_PIN_LOCKED_;
    return rv == CKR_OK_ || rv == CKR_USER_ALREADY_LOGGED_IN_ ? CE_OK : ck_fail(f, "log in", rv);
}

static enum err connect_now(struct token *t, struct fault *f)
{
    struct ck_token_info info;
    t->connected = false;
    if (t->keeper_open)
        t->module->ck->close_session(t->keeper);
    t->keeper_open = false;
    enum err e = token_find(t, &info, f);
    if (e)
        return e;
    ck_rv rv = t->module->ck->open_session(t->slot, CKF_SERIAL_SESSION_ | CKF_RW_SESSION_, NULL, NULL, &t->keeper);
    if (rv != CKR_OK_)
        return ck_fail(f, "open a session", rv);
    t->keeper_open = true;
    if ((e = token_login(t, &info, f)))
        return e;
    info_take(&t->info, &info);
    t->generation++;
    t->connected = true;
    if (!t->stay)
        pin_forget(t);
    return CE_OK;
}

enum err token_connect(struct token *t, struct fault *f)
{
    module_lock(t->module, true);
    enum err e = module_start(t->module, f);
    e = e ? e : connect_now(t, f);
    module_unlock(t->module);
    return e;
}

/* Does another token of the module, which was not lost, still look for its objects? Then the module is sound, and to begin it anew would take that one away. */
static bool neighbour_answers(const struct token *t)
{
    const struct ck_functions *ck = t->module->ck;
    ck_ulong class = CKO_PRIVATE_KEY_, object, found;
    struct ck_attribute want = { CKA_CLASS_, &class, sizeof class };
    for (const struct token *o = t->module->tokens; o; o = o->next) {
        if (o == t || !o->connected || ck->find_init(o->keeper, &want, 1) != CKR_OK_)
            continue;
        ck_rv rv = ck->find(o->keeper, &object, 1, &found);
        ck->find_final(o->keeper);
        if (rv == CKR_OK_)
            return true;
    }
    return false;
}

enum err token_again(struct token *t, uint64_t generation, bool hard, struct fault *f)
{
    enum err e = CE_OK;
    module_lock(t->module, true);
    if (t->generation == generation || !t->connected) { /* else somebody else did it */
        if (hard && !neighbour_answers(t))
            module_end(t->module);
        e = t->stay ? module_start(t->module, f) : fault_set(f, CE_TOKEN_LOST, "the PKCS#11 token is gone");
        e = e ? e : connect_now(t, f);
    }
    module_unlock(t->module);
    return e;
}

enum err token_retry(struct token *t, struct fault *f) { return token_again(t, UINT64_MAX, true, f); }

void token_lost(struct token *t, uint64_t generation)
{
    module_lock(t->module, true);
    if (t->generation == generation)
        t->connected = false;
    module_unlock(t->module);
}

bool token_is_lost(struct token *t)
{
    module_lock(t->module, false);
    bool lost = !t->connected;
    module_unlock(t->module);
    return lost;
}

bool token_pin_refused(struct token *t)
{
    module_lock(t->module, false);
    bool refused = t->pin_refused;
    module_unlock(t->module);
    return refused;
}

void token_info_get(struct token *t, struct token_info *out)
{
    module_lock(t->module, false);
    *out = t->info;
    module_unlock(t->module);
}

/* -- sessions ------------------------------------------------------------------------------------------------------------------- */
struct token_session *token_session_new(struct token *t)
{
    struct token_session *s = mem_calloc(1, sizeof *s);
    s->token = t;
    s->users = 1;
    return s;
}

void token_session_free(struct token_session *s)
{
    if (!s || --s->users)
        return;
    module_lock(s->token->module, false);
    if (s->generation && s->generation == s->token->generation && s->token->connected)
        s->token->module->ck->close_session(s->handle);
    module_unlock(s->token->module);
    free(s);
}

enum err session_ready(struct token_session *s, struct fault *f)
{
    struct token *t = s->token;
    if (!t->connected)
        return fault_set(f, CE_TOKEN_LOST, "the PKCS#11 token %s is gone", t->info.label[0] ? t->info.label : t->uri.token);
    if (s->generation == t->generation)
        return CE_OK;
    ck_rv rv = t->module->ck->open_session(t->slot, CKF_SERIAL_SESSION_ | CKF_RW_SESSION_, NULL, NULL, &s->handle);
    if (rv != CKR_OK_)
        return ck_fail(f, "open a session", rv);
    s->generation = t->generation;
    return CE_OK;
}
