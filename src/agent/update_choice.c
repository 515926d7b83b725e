/* update_choice.c: what the user of a device wants of an update: later, not at all, now. Written by `cradle-agent update …`, read by the client. */
#include <stdio.h>

#include "agent/update_client.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define POSTPONE_MAX_S (7 * 86400)
#define POSTPONE_FORCED_MAX_S 86400

struct choice_record {
    int64_t sequence, until_s;
    char word[CONFIG_STR_MAX];
};
#define CFG(...) CONFIG_ROW(choice_record, __VA_ARGS__)
static const struct config_key choice_keys[] = {
    CFG(INT, sequence, "0", 0, INT64_MAX, "", "of the order that is meant")
    CFG(STR, word, "", 0, 16, "", "postpone, decline or accept")
    CFG(INT, until_s, "0", 0, INT64_MAX, "s", "put off until then")
};
#undef CFG

enum err choice_write(const char *dir, uint64_t sequence, const char *word, int64_t until_s, struct fault *f)
{
    struct choice_record c = { .sequence = (int64_t)sequence, .until_s = until_s };
    char path[PATH_MAX_LEN];
    snprintf(c.word, sizeof c.word, "%s", word);
    path_join(path, "%s/choice", dir);
    return record_save(path, choice_keys, ARRAY_LEN(choice_keys), &c, f);
}

static void postponed(struct updater *u, int64_t until_s)
{
    char text[CLOCK_TEXT_MAX];
    struct fault f;
    const struct update_said said = { .sequence = u->order.sequence, .state = "postponed", .until_s = until_s };
    if (u->order.until_s == until_s)
        return;
    clock_text_s(until_s, text);
    log_info(0, "the update to %s is put off until %s", u->order.version, text);
    if (updater_post(u, &said, &f))
        return; /* told at the next look */
    u->order.until_s = until_s;
    if (updater_save(u, &f))
        log_warn(0, "%s", f.text);
}

enum choice update_choice(struct updater *u)
{
    struct choice_record c = { 0 };
    struct update_order *o = &u->order;
    struct fault f;
    char path[PATH_MAX_LEN];
    path_join(path, "%s/choice", u->dir);
    enum err e = record_load(path, choice_keys, ARRAY_LEN(choice_keys), &c, &f);
    if (e && e != CE_NOT_FOUND)
        log_warn(0, "%s", f.text);
    bool any = !e && c.sequence == o->sequence;
    if (any && strcmp(c.word, "decline") == 0 && !o->forced)
        return CHOICE_DECLINE;
    if (any && strcmp(c.word, "postpone") == 0) {
        int64_t last_s = o->offered_s + (o->forced ? POSTPONE_FORCED_MAX_S : POSTPONE_MAX_S);
        int64_t until_s = c.until_s < last_s ? c.until_s : last_s;
        if (clock_now_s() < until_s) {
            postponed(u, until_s);
            return CHOICE_WAIT;
        }
        return CHOICE_GO;
    }
    if (any && strcmp(c.word, "accept") == 0)
        return CHOICE_GO;
    return u->cfg->update_ask && !o->forced ? CHOICE_WAIT : CHOICE_GO;
}
