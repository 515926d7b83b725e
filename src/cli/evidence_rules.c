/* evidence_rules.c: what an export must satisfy: the tree and its checkpoints, devices and certificates. The rules are written
 * here a second time on purpose: a verifier that shared core's code would share its mistakes. */
#include <stdlib.h>
#include <string.h>

#include "cli/evidence.h"

/* -- the tree --------------------------------------------------------------------------------------------------------------- */
static void levels_make(struct evidence *ev)
{
    const struct merkle_hash *below = ev->leaf;
    size_t n = ev->n / 2;
    for (unsigned l = 1; l < MERKLE_LEVELS && n; l++, n /= 2) {
        ev->level[l] = mem_alloc(n * sizeof *below);
        for (size_t i = 0; i < n; i++)
            merkle_node(&below[2 * i], &below[2 * i + 1], &ev->level[l][i]);
        below = ev->level[l];
    }
}

static enum err level_node(void *ctx, unsigned level, uint64_t index, struct merkle_hash *out)
{
    const struct evidence *ev = ctx;
    if (level >= MERKLE_LEVELS || index >= ev->n >> level)
        return CE_BAD_PROOF;
    *out = level ? ev->level[level][index] : ev->leaf[index];
    return CE_OK;
}

static struct merkle_source source(const struct evidence *ev)
{
    return (struct merkle_source){(void *)ev, level_node};
}

bool evidence_proof(const struct evidence *ev, int64_t index, struct merkle_proof *out)
{
    struct merkle_source s = source(ev);
    return index >= 0 && (size_t)index < ev->n && !merkle_inclusion(&s, (uint64_t)index, ev->n, out) &&
           !merkle_inclusion_verify(&ev->leaf[index], (uint64_t)index, ev->head.size, out, &ev->head.root);
}

static void judge_tree(struct evidence *ev)
{
    struct merkle_source s = source(ev);
    struct merkle_hash root;
    if (!ev->has_header)
        ev_bad(ev, CE_LOG_INCONSISTENT, -1, "there is no header line");
    else if (ev->declared != (int64_t)ev->n)
        ev_bad(ev, CE_LOG_INCONSISTENT, -1, "the header says %lld leaves, there are %zu", (long long)ev->declared, ev->n);
    if (!ev->has_head) {
        ev_bad(ev, CE_LOG_INCONSISTENT, -1, "there is no checkpoint: the export is cut off");
        return;
    }
    if (ev->has_header && strcmp(ev->origin, ev->head.origin) != 0)
        ev_bad(ev, CE_LOG_INCONSISTENT, -1, "the header's origin %.60s is not that of the checkpoint, %.60s", ev->origin, ev->head.origin);
    if (ev->head.size != ev->n)
        ev_bad(ev, CE_LOG_INCONSISTENT, -1, "the checkpoint is over %llu leaves, there are %zu", (unsigned long long)ev->head.size, ev->n);
    else if (merkle_root_at(&s, ev->n, &root) || !merkle_eq(&root, &ev->head.root))
        ev_bad(ev, CE_LOG_INCONSISTENT, -1, "the leaves do not give the checkpoint's root: a leaf was changed, added, removed or moved");
}

static void judge_since(struct evidence *ev)
{
    struct merkle_source s = source(ev);
    struct merkle_proof p;
    struct merkle_hash root;
    if (!ev->has_since || ev->since.size == 0) /* nothing was promised yet: every log continues it */
        return;
    if (ev->since.size > ev->n) {
        ev_bad(ev, CE_LOG_INCONSISTENT, -1, "the older checkpoint is over %llu leaves, the log now has %zu: it was rolled back",
               (unsigned long long)ev->since.size, ev->n);
        return;
    }
    if (merkle_root_at(&s, ev->since.size, &root) || !merkle_eq(&root, &ev->since.root)) {
        ev_bad(ev, CE_LOG_INCONSISTENT, -1, "the log does not continue the older checkpoint of %llu leaves: history was rewritten",
               (unsigned long long)ev->since.size);
        return;
    }
    if (merkle_consistency(&s, ev->since.size, ev->n, &p) ||
        merkle_consistency_verify(ev->since.size, ev->head.size, &ev->since.root, &ev->head.root, &p))
        ev_bad(ev, CE_BAD_PROOF, -1, "the consistency proof from %llu to %zu leaves does not verify", (unsigned long long)ev->since.size,
               ev->n);
    ev->since_proof = p.n;
}

/* -- certificates -------------------------------------------------------------------------------------------------------------- */
static int cert_cmp(const void *a, const void *b)
{
    const struct ev_cert *x = a, *y = b;
    int c = memcmp(x->key, y->key, EV_CERT_KEY);
    return c ? c : (x->index > y->index) - (x->index < y->index);
}

/* Events of one certificate, in the order of the log. */
static void judge_cert(struct evidence *ev, const struct ev_cert *x, size_t n)
{
    const struct ev_cert *intent = NULL, *issued = NULL, *orphan = NULL;
    bool dead = false;
    for (size_t i = 0; i < n; i++) {
        switch (x[i].kind) {
        case EV_CERT_INTENT:
            if (intent)
                ev_bad(ev, CE_LOG_INCONSISTENT, x[i].index, "this serial number has an intent already, leaf %lld",
                       (long long)intent->index);
            intent = &x[i];
            break;
        case EV_CERT_ISSUED:
            ev->issued++;
            if (issued)
                ev_bad(ev, CE_LOG_INCONSISTENT, x[i].index, "this serial number was issued already, leaf %lld", (long long)issued->index);
            if (orphan)
                ev_bad(ev, CE_LOG_INCONSISTENT, x[i].index, "its intent was closed as an orphan before, leaf %lld",
                       (long long)orphan->index);
            if (!intent && !ev->erased)
                ev_bad(ev, CE_LOG_INCONSISTENT, x[i].index, "a certificate was issued without an intent before it");
            if (intent && memcmp(intent->spki, x[i].spki, sizeof x[i].spki) != 0)
                ev_bad(ev, CE_LOG_INCONSISTENT, x[i].index, "the certificate has another key than its intent, leaf %lld",
                       (long long)intent->index);
            issued = &x[i];
            break;
        case EV_CERT_ORPHAN:
            orphan = &x[i];
            break;
        case EV_CERT_REVOKED:
            if (dead && x[i].status != 1)
                ev_bad(ev, CE_LOG_INCONSISTENT, x[i].index, "a revoked certificate came back: revocation is final");
            dead |= x[i].status == 1;
            break;
        default:
            break;
        }
    }
    if (intent && !issued && !orphan)
        ev_note(ev, intent->index, "an intent is still open: the certificate was being made when the log ends");
}

static void judge_certs(struct evidence *ev)
{
    if (ev->ncert)
        qsort(ev->cert, ev->ncert, sizeof *ev->cert, cert_cmp);
    for (size_t i = 0, n; i < ev->ncert; i += n) {
        for (n = 1; i + n < ev->ncert && memcmp(ev->cert[i].key, ev->cert[i + n].key, EV_CERT_KEY) == 0; n++)
            ;
        judge_cert(ev, &ev->cert[i], n);
    }
}

static bool cert_was_revoked(const struct evidence *ev, const uint8_t key[EV_CERT_KEY])
{
    size_t lo = 0, hi = ev->ncert;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (memcmp(ev->cert[mid].key, key, EV_CERT_KEY) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < ev->ncert && memcmp(ev->cert[lo].key, key, EV_CERT_KEY) == 0; lo++)
        if (ev->cert[lo].kind == EV_CERT_REVOKED && ev->cert[lo].status == 1)
            return true;
    return false;
}

/* -- devices ---------------------------------------------------------------------------------------------------------------------- */
/* By UID, then by rev (what changed nothing first), then as in the log. */
static int device_cmp(const void *a, const void *b)
{
    const struct ev_device *x = a, *y = b;
    int c = strcmp(x->uid, y->uid);
    c = c ? c : (x->rev > y->rev) - (x->rev < y->rev);
    return c ? c : (x->index > y->index) - (x->index < y->index);
}

static bool terminal(enum ev_state s)
{
    return s == EV_REVOKED || s == EV_DECOMMISSIONED;
}

/* Which change of state may happen: the row is from, the letters are to, as in letters. */
static bool change_allowed(enum ev_state from, enum ev_state to)
{
    static const char *const rows[EV_STATES] = {"", "psvd", "aqsvd", "qsvd", "aqvd", "", "", "asvd"};
    static const char letters[EV_STATES] = {0, 'r', 'p', 'a', 's', 'v', 'd', 'q'};
    return to != EV_NONE && strchr(rows[from], letters[to]);
}

static void judge_device(struct evidence *ev, const struct ev_device *x, size_t n)
{
    enum ev_state state = EV_NONE;
    int64_t rev = 0, index = -1;
    for (size_t i = 0; i < n; i++) {
        if (x[i].rev == 0)
            continue; /* tells of the device, changes nothing */
        if (ev->nstream == 1 && x[i].index < index)
            ev_bad(ev, CE_LOG_INCONSISTENT, x[i].index, "device %.64s: rev %lld stands before a lower one", x[i].uid, (long long)x[i].rev);
        index = x[i].index;
        if (x[i].rev == rev)
            ev_bad(ev, CE_LOG_INCONSISTENT, x[i].index, "device %.64s has two changes with rev %lld", x[i].uid, (long long)rev);
        else if (x[i].rev != rev + 1 && !ev->erased)
            ev_bad(ev, CE_LOG_INCONSISTENT, x[i].index, "device %.64s goes from rev %lld to %lld: a change is missing", x[i].uid,
                   (long long)rev, (long long)x[i].rev);
        rev = x[i].rev;
        if (x[i].kind == EV_DEVICE_ADDED) {
            if (state != EV_NONE)
                ev_bad(ev, CE_LOG_INCONSISTENT, x[i].index, "device %.64s is registered a second time", x[i].uid);
            state = EV_REGISTERED;
        } else if (state == EV_NONE && !ev->erased) {
            ev_bad(ev, CE_LOG_INCONSISTENT, x[i].index, "device %.64s changes before it is registered", x[i].uid);
        }
        if (x[i].kind == EV_DEVICE_STATE) {
            if (x[i].from != state && !ev->erased)
                ev_bad(ev, CE_LOG_INCONSISTENT, x[i].index, "device %.64s changes from a state that it is not in", x[i].uid);
            if (!change_allowed(x[i].from, x[i].to))
                ev_bad(ev, CE_LOG_INCONSISTENT, x[i].index, "device %.64s makes a change of state that is not allowed%s", x[i].uid,
                       terminal(x[i].from) ? ": revoked and decommissioned are final" : "");
            state = x[i].to;
        }
        if (x[i].kind == EV_CERT_ISSUED && terminal(state) && !cert_was_revoked(ev, x[i].cert))
            ev_bad(ev, CE_LOG_INCONSISTENT, x[i].index, "device %.64s got a certificate after its end, and it was not revoked", x[i].uid);
    }
}

static int timeline_cmp(const void *a, const void *b)
{
    const struct ev_device *x = a, *y = b;
    int c = strcmp(x->uid, y->uid);
    return c ? c : (x->index > y->index) - (x->index < y->index);
}

static void judge_devices(struct evidence *ev)
{
    if (!ev->ndevice)
        return;
    qsort(ev->device, ev->ndevice, sizeof *ev->device, device_cmp);
    for (size_t i = 0, n; i < ev->ndevice; i += n, ev->uids++) {
        for (n = 1; i + n < ev->ndevice && strcmp(ev->device[i].uid, ev->device[i + n].uid) == 0; n++)
            ;
        judge_device(ev, &ev->device[i], n);
        ev->registered += ev->device[i + n - 1].rev != 0;
    }
    qsort(ev->device, ev->ndevice, sizeof *ev->device, timeline_cmp);
}

void evidence_judge(struct evidence *ev)
{
    levels_make(ev);
    judge_tree(ev);
    judge_since(ev);
    judge_certs(ev);
    judge_devices(ev);
    evidence_judge_signatures(ev);
    evidence_judge_people(ev);
    if (ev->erased)
        ev_note(ev, -1, "%lld leaves are erased: their hashes are covered, their contents cannot be judged", (long long)ev->erased);
}
