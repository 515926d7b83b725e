/* token.c: see token.h. */
#include "core/token.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/engine.h"

#define KEY_NAME_LEN 64

static const struct core_token *token_with(const struct core *core, struct span name)
{
    char padded[KEY_NAME_LEN + 3];
    if (!name.n || name.n > KEY_NAME_LEN)
        return NULL;
    snprintf(padded, sizeof padded, " %.*s ", (int)name.n, (const char *)name.p);
    const struct core_token *found = NULL; /* the one that says least good of the key */
    for (size_t i = 0; i < core->ntokens; i++)
        if (strstr(core->tokens[i].keys, padded) && (!found || core->tokens[i].lost))
            found = &core->tokens[i];
    return found;
}

static const struct core_token *token_with_suffix(const struct core *core, struct span name, const char *suffix)
{
    char text[KEY_NAME_LEN + 1];
    int n = snprintf(text, sizeof text, "%.*s%s", (int)name.n, (const char *)name.p, suffix);
    return n > 0 && (size_t)n < sizeof text ? token_with(core, span_of(text, (size_t)n)) : NULL;
}

const struct core_token *token_of_request(const struct core *core, uint16_t type, struct span body)
{
    union {
        struct msg_sign_cert cert;
        struct msg_sign_crl_begin crl_begin;
        struct msg_sign_crl_part crl_part;
        struct msg_sign_crl_end crl_end;
        struct msg_sign_ocsp ocsp;
        struct msg_sign_meta meta;
    } m;
    if (!core->ntokens)
        return NULL;
    switch (type) {
    case MSG_SIGN_CERT: return msg_unpack_all(&msg_desc_sign_cert, body, &m) ? NULL : token_with(core, m.cert.ca);
    case MSG_SIGN_CRL_BEGIN: return msg_unpack_all(&msg_desc_sign_crl_begin, body, &m) ? NULL : token_with(core, m.crl_begin.ca);
    case MSG_SIGN_CRL_PART: return msg_unpack_all(&msg_desc_sign_crl_part, body, &m) ? NULL : token_with(core, m.crl_part.ca);
    case MSG_SIGN_CRL_END: return msg_unpack_all(&msg_desc_sign_crl_end, body, &m) ? NULL : token_with(core, m.crl_end.ca);
    case MSG_SIGN_OCSP: return msg_unpack_all(&msg_desc_sign_ocsp, body, &m) ? NULL : token_with_suffix(core, m.ocsp.ca, "-ocsp");
    case MSG_SIGN_META:
        return msg_unpack_all(&msg_desc_sign_meta, body, &m) ? NULL
               : token_with(core, span_eq_str(m.meta.role, "timestamp") ? SPAN_LIT("tuf-timestamp") : SPAN_LIT("tuf-snapshot"));
    case MSG_SIGN_DIRECTIVE: return token_with(core, SPAN_LIT("directive"));
    case MSG_SIGN_CMP: return token_with(core, SPAN_LIT("cmp"));
    case MSG_SIGN_HEAD: return token_with(core, SPAN_LIT("log"));
    case MSG_SIGN_FRAME:
    case MSG_SIGN_SNAPSHOT: return token_with(core, SPAN_LIT("stream"));
    default: return NULL;
    }
}

bool token_keeps_apart(uint16_t type) { return type == MSG_SIGN_CRL_BEGIN || type == MSG_SIGN_CRL_PART || type == MSG_SIGN_CRL_END; }

/* How long the oldest request to a token that is ahead has waited. */
static int64_t oldest_ms(const struct core *core)
{
    for (uint64_t t = core->token_first; core->token_ahead && t < core->token_next; t++) {
        const struct sign_slot *s = &core->slots[t & (core->nslots - 1)];
        if (s->open && s->ahead)
            return (clock_mono_us() - s->asked_us) / 1000;
    }
    return 0;
}

enum err token_ready(const struct core *core, struct span ca, const char *suffix, struct fault *f)
{
    const struct core_token *t = core->ntokens ? token_with_suffix(core, ca, suffix) : NULL;
    if (!t)
        return CE_OK;
    if (t->lost && t->one)
        return fault_set(f, CE_TOKEN_LOST, "the key " SPAN_FMT "%s in the token %s cannot be used: %s", SPAN_ARG(ca), suffix, t->label, t->why);
    if (t->lost)
        return fault_set(f, CE_TOKEN_LOST, "the token %s, which holds the key " SPAN_FMT "%s, does not answer; try again later", t->label, SPAN_ARG(ca), suffix);
    if (core->token_ahead >= core->cfg.token_queue || oldest_ms(core) > TOKEN_SLOW_MS)
        return fault_set(f, CE_BUSY, "%lld signatures wait for tokens; try again later", (long long)core->token_ahead);
    return CE_OK;
}

void tokens_push(struct core *core, int peer)
{
    CLEANUP(buf_free) struct buf lost = BUF_INIT(512), body = BUF_INIT(1024);
    for (size_t i = 0; i < core->ntokens; i++)
        if (core->tokens[i].lost)
            buf_printf(&lost, "%s%s", lost.len ? ", " : "", core->tokens[i].label);
    const struct msg_push_tokens m = { .lost = buf_span(&lost) };
    msg_pack(&msg_desc_push_tokens, &m, &body);
    core->ports.push(core->ports.ctx, peer, MSG_PUSH_TOKENS, buf_span(&body));
}

/* -- what the role tells ----------------------------------------------------------------------------------------------------- */
static struct core_token *token_take(struct core *core, const struct msg_hsm_state *m, bool *is_new)
{
    struct core_token *t = NULL;
    size_t n = m->keys.n + 3;
    char *keys = mem_alloc(n);
    snprintf(keys, n, " %.*s ", (int)m->keys.n, (const char *)m->keys.p);
    for (size_t i = 0; i < core->ntokens; i++)
        if (core->tokens[i].one == !!m->one && strcmp(core->tokens[i].keys, keys) == 0)
            t = &core->tokens[i];
    *is_new = !t;
    if (!t && (!m->one || m->lost) && core->ntokens < CORE_TOKENS) {
        t = &core->tokens[core->ntokens++];
        *t = (struct core_token){ .keys = mem_strdup(keys), .one = !!m->one };
    }
    free(keys);
    return t;
}

static void event_write(struct batch *b, enum event_kind kind, const struct core_token *t, int64_t away_ms)
{
    struct json_out *j = event_begin(b, kind, (struct span){ 0 }, 0);
    json_cstr(j, "token", t->label);
    json_cstr(j, "serial", t->serial);
    json_cstr(j, "manufacturer", t->manufacturer);
    json_str(j, "keys", span_trim(span_str(t->keys)));
    if (kind == EVENT_TOKEN_LOST)
        json_cstr(j, "why", t->why);
    if (kind == EVENT_TOKEN_BACK)
        json_int(j, "away_ms", away_ms);
    event_end(b);
}

enum err token_op_state(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_hsm_state *m = msg;
    bool is_new;
    (void)c, (void)out;
    struct core_token *t = token_take(b->core, m, &is_new);
    if (!t && m->one && !m->lost)
        return CE_OK; /* of a key that can be used nothing is kept */
    if (!t)
        return fault_set(f, CE_TOO_LARGE, "more than %d tokens", CORE_TOKENS);
    bool was_lost = t->lost && !t->silent;
    int64_t away_ms = b->now_ms - t->since_ms;
    t->silent = false;
    const struct { struct span s; char *out; size_t cap; } rows[] = {
        { m->token, t->label, sizeof t->label }, { m->serial, t->serial, sizeof t->serial },
        { m->manufacturer, t->manufacturer, sizeof t->manufacturer }, { m->why, t->why, sizeof t->why },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (span_to_cstr(rows[i].s, rows[i].out, rows[i].cap))
            rows[i].out[0] = 0;
    if (is_new || t->lost != (m->lost != 0))
        t->since_ms = b->now_ms;
    t->lost = m->lost != 0;
    if (t->lost && !was_lost)
        event_write(b, EVENT_TOKEN_LOST, t, 0);
    if (!t->lost && was_lost)
        event_write(b, EVENT_TOKEN_BACK, t, away_ms);
    if (!t->lost && !t->told && !t->one) {
        t->told = true;
        event_write(b, EVENT_TOKEN_KEYS, t, 0);
    }
    tokens_push(b->core, -1);
    return CE_OK;
}

/* Its restart is an event of the parent's; when it is back it tells what it finds. */
void tokens_gone(struct core *core)
{
    for (size_t i = 0; i < core->ntokens; i++) {
        struct core_token *t = &core->tokens[i];
        if (t->lost)
            continue;
        t->lost = t->silent = true;
        t->since_ms = clock_now_ms();
        snprintf(t->why, sizeof t->why, "the hsm role restarts");
    }
    if (core->ntokens)
        tokens_push(core, -1);
}

void token_status_put(const struct core *core, struct json_out *j)
{
    json_arr(j, "tokens");
    for (size_t i = 0; i < core->ntokens; i++) {
        const struct core_token *t = &core->tokens[i];
        json_obj(j, NULL);
        json_cstr(j, "token", t->label);
        json_cstr(j, "serial", t->serial);
        json_cstr(j, "manufacturer", t->manufacturer);
        json_str(j, "keys", span_trim(span_str(t->keys)));
        json_bool(j, "one_key", t->one);
        json_bool(j, "lost", t->lost);
        json_cstr(j, "why", t->lost ? t->why : "");
        json_time_ms(j, "since", t->since_ms);
        json_obj_end(j);
    }
    json_arr_end(j);
}

void tokens_free(struct core *core)
{
    for (size_t i = 0; i < core->ntokens; i++)
        free(core->tokens[i].keys);
}
