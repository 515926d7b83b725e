/* update_order.c: see update_order.h. */
#include "agent/update_order.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"

static const struct config_key order_keys[] = {
#define CFG(...) CONFIG_ROW(update_order, __VA_ARGS__)
#include "agent/update_order.def"
#undef CFG
};

#define CFG(...) CONFIG_ROW(update_installed, __VA_ARGS__)
static const struct config_key installed_keys[] = {
    CFG(STR, release, "", 0, 64, "", "name of the release")
    CFG(STR, version, "", 0, 64, "", "its version")
    CFG(STR, sha256, "", 0, 64, "", "of its file")
    CFG(STR, slot, "", 0, 1, "", "where it lies, for handlers with slots")
    CFG(INT, length, "0", 0, INT64_MAX, "bytes", "of its file")
    CFG(INT, sequence, "0", 0, INT64_MAX, "", "of the directive that ordered it")
};
#undef CFG

static const struct { const char *word, *report; } states[] = {
    [ORDER_NONE] = { "none", "" },
    [ORDER_FETCHING] = { "fetching", "" }, /* said as it goes: percent, postponed */
    [ORDER_INSTALLING] = { "installing", "" },
    [ORDER_TRIAL] = { "trial", "installed" },
    [ORDER_ROLLING_BACK] = { "rolling-back", "" },
    [ORDER_CONFIRMED] = { "confirmed", "confirmed" },
    [ORDER_FAILED] = { "failed", "failed" },
    [ORDER_ROLLED_BACK] = { "rolled-back", "rolled-back" },
    [ORDER_REFUSED] = { "refused", "refused" },
    [ORDER_DECLINED] = { "declined", "declined" },
    [ORDER_RESET] = { "reset", "" }, /* with its receipt, see reset.h */
};

enum order_state order_state(const struct update_order *o)
{
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (strcmp(o->state, states[i].word) == 0)
            return (enum order_state)i;
    return ORDER_NONE;
}

const char *order_word(enum order_state s) { return states[s].word; }
const char *order_report(enum order_state s) { return states[s].report; }

enum err order_load(const char *dir, struct update_order *o, struct fault *f)
{
    char path[PATH_MAX_LEN];
    *o = (struct update_order){ .state = "none" };
    path_join(path, "%s/order", dir);
    enum err e = record_load(path, order_keys, ARRAY_LEN(order_keys), o, f);
    if (e == CE_NOT_FOUND)
        *o = (struct update_order){ .state = "none" };
    return e == CE_NOT_FOUND ? CE_OK : e;
}

enum err order_save(const char *dir, const struct update_order *o, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/order", dir);
    return record_save(path, order_keys, ARRAY_LEN(order_keys), o, f);
}

static void hex_text(const uint8_t digest[32], char *out)
{
    for (size_t i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

struct update_order order_make(const struct cradle_update_target *t)
{
    struct update_order o = { .sequence = (int64_t)t->sequence, .length = (int64_t)t->length, .block_size = t->block_size, .counter = t->counter };
    snprintf(o.state, sizeof o.state, "%s", order_word(t->action == CRADLE_UP_RESET ? ORDER_RESET : ORDER_FETCHING));
    snprintf(o.release, sizeof o.release, "%s", t->release);
    snprintf(o.version, sizeof o.version, "%s", t->version);
    snprintf(o.handler, sizeof o.handler, "%s", t->handler);
    if (t->action == CRADLE_UP_INSTALL)
        hex_text(t->sha256, o.sha256);
    if (t->block_size)
        hex_text(t->blocks_sha256, o.blocks_sha256);
    return o;
}

static void directive_hex(struct span directive, char *out)
{
    uint8_t digest[32] = { 0 };
    (void)!EVP_Digest(directive.p, directive.n, digest, NULL, EVP_sha256(), NULL);
    hex_text(digest, out);
}

void order_bear_in_mind(struct update_order *o, struct span directive) { directive_hex(directive, o->directive); }

bool order_borne_in_mind(const struct update_order *o, struct span directive)
{
    char hex[65];
    directive_hex(directive, hex);
    return !*o->directive || strcmp(hex, o->directive) == 0;
}

bool order_digest(const char *hex, uint8_t out[32])
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(32);
    if (strlen(hex) != 64 || hex_decode(span_str(hex), &b))
        return false;
    memcpy(out, b.data, 32);
    return true;
}

enum err installed_load(const char *dir, struct update_installed *i, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/installed", dir);
    enum err e = record_load(path, installed_keys, ARRAY_LEN(installed_keys), i, f);
    if (e)
        *i = (struct update_installed){ 0 };
    return e == CE_NOT_FOUND ? CE_OK : e;
}

enum err installed_save(const char *dir, const struct update_order *o, struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct update_installed i = { .length = o->length, .sequence = o->sequence };
    snprintf(i.release, sizeof i.release, "%s", o->release);
    snprintf(i.version, sizeof i.version, "%s", o->version);
    snprintf(i.sha256, sizeof i.sha256, "%s", o->sha256);
    snprintf(i.slot, sizeof i.slot, "%s", o->to_slot);
    path_join(path, "%s/installed", dir);
    return record_save(path, installed_keys, ARRAY_LEN(installed_keys), &i, f);
}
