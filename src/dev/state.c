/* state.c: when to renew, how long to wait, and the table of an identity's life on the device. See cradle/dev.h. */
#include "cradle/dev.h"

/* FNV-1a: spreads a fleet's UIDs evenly; nothing secret depends on it. */
static uint32_t uid_hash(const char *uid)
{
    uint32_t h = 2166136261u;
    for (; *uid; uid++)
        h = (h ^ (uint8_t)*uid) * 16777619u;
    return h;
}

int64_t cradle_renew_at_s(const struct cradle_cert *cert, int renew_at_pct, const char *uid)
{
    int64_t life_s = cert->not_after_s - cert->not_before_s;
    int64_t first_s = life_s / 100 * renew_at_pct + life_s % 100 * renew_at_pct / 100;
    int64_t last_s = life_s / 10 * 9;
    if (last_s <= first_s)
        return cert->not_before_s + first_s;
    /* the first half of the window, so that failures have the second half to be retried in */
    int64_t spread_s = (last_s - first_s) / 2;
    return cert->not_before_s + first_s + (spread_s ? (int64_t)(uid_hash(uid) % (uint64_t)spread_s) : 0);
}

uint32_t cradle_backoff_ms(unsigned attempt, uint32_t base_ms, uint32_t cap_ms, uint32_t random)
{
    uint64_t limit = attempt >= 32 ? cap_ms : (uint64_t)base_ms << attempt;
    if (limit > cap_ms)
        limit = cap_ms;
    return (uint32_t)(random % (limit + 1));
}

struct transition {
    enum cradle_phase from;
    enum cradle_event event;
    enum cradle_phase to;
    enum cradle_action action;
};

static const struct transition life[] = {
    { CRADLE_NO_KEY, CRADLE_EV_START, CRADLE_NO_KEY, CRADLE_DO_MAKE_KEY },
    { CRADLE_NO_KEY, CRADLE_EV_KEY_MADE, CRADLE_NO_CERT, CRADLE_DO_ENROLL },
    { CRADLE_NO_CERT, CRADLE_EV_START, CRADLE_NO_CERT, CRADLE_DO_ENROLL },
    { CRADLE_NO_CERT, CRADLE_EV_CERT_STORED, CRADLE_CURRENT, CRADLE_DO_CONNECT },
    { CRADLE_CURRENT, CRADLE_EV_START, CRADLE_CURRENT, CRADLE_DO_CONNECT },
    { CRADLE_CURRENT, CRADLE_EV_DUE, CRADLE_CURRENT, CRADLE_DO_RENEW },
    { CRADLE_CURRENT, CRADLE_EV_CERT_STORED, CRADLE_CANDIDATE, CRADLE_DO_TRY_CANDIDATE },
    { CRADLE_CURRENT, CRADLE_EV_REFUSED, CRADLE_CURRENT, CRADLE_DO_CONNECT },
    { CRADLE_CANDIDATE, CRADLE_EV_START, CRADLE_CANDIDATE, CRADLE_DO_TRY_CANDIDATE },
    { CRADLE_CANDIDATE, CRADLE_EV_CONNECTED, CRADLE_CANDIDATE, CRADLE_DO_SWAP },
    { CRADLE_CANDIDATE, CRADLE_EV_SWAPPED, CRADLE_CURRENT, CRADLE_DO_NOTHING },
    { CRADLE_CANDIDATE, CRADLE_EV_REFUSED, CRADLE_CURRENT, CRADLE_DO_DROP_CANDIDATE },
};

enum cradle_action cradle_step(enum cradle_phase *phase, enum cradle_event event)
{
    for (unsigned i = 0; i < sizeof life / sizeof *life; i++)
        if (life[i].from == *phase && life[i].event == event) {
            *phase = life[i].to;
            return life[i].action;
        }
    return CRADLE_DO_NOTHING;
}
