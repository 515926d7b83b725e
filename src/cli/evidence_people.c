/* evidence_people.c: what more than one person must have agreed to: mass changes, first enrollments of lines that want an approval, and CAs: no certificate by a
 * CA that the log does not know, or that has ended. Written here a second time on purpose, as evidence_rules.c. What this cannot see: what many
 * changes without a job came to within mass_revoke_confirm's time (the limit is in no event but those of jobs).
 */
#include <stdlib.h>
#include <string.h>

#include "cli/evidence.h"

struct job { int64_t id, created, confirmed, matched, listed, changed, limit; const char *maker; bool second; };
enum act_kind { ACT_ADDED, ACT_ASKED, ACT_APPROVED, ACT_INTENT, ACT_ISSUED, ACT_LISTED, ACT_CHANGED };
struct act { const char *uid, *text; int64_t index, job; enum act_kind kind; }; /* text: line; key and who asked or approved; key of the certificate */
struct setting { const char *name; int64_t index; const char *value; };         /* of a line, or the state of a CA */
struct rows { void *items; size_t n, cap; };
struct ev_people { struct rows jobs, acts, lines, cas; };

static void *row_add(struct rows *l, size_t size)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->items = mem_realloc(l->items, l->cap * size);
    }
    void *at = (char *)l->items + l->n++ * size;
    memset(at, 0, size);
    return at;
}

void evidence_people_free(struct ev_people *p)
{
    if (!p)
        return;
    struct rows *all[] = { &p->jobs, &p->acts, &p->lines, &p->cas };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        free(all[i]->items);
    free(p);
}

/* -- reading ---------------------------------------------------------------------------------------------------------------------- */
static const char *kept(struct evidence *ev, const json_t *o, const char *key) { return arena_str(&ev->arena, span_str(json_path_str(o, key, ""))); }

static struct job *job_of(const struct ev_people *p, int64_t id)
{
    struct job *j = p->jobs.items;
    for (size_t i = p->jobs.n; i-- > 0;)
        if (j[i].id == id)
            return &j[i];
    return NULL;
}

static void act_add(struct evidence *ev, enum act_kind kind, int64_t index, const char *uid, const char *text, int64_t job)
{
    *(struct act *)row_add(&ev->people->acts, sizeof(struct act)) = (struct act){ .kind = kind, .index = index, .uid = uid, .text = text, .job = job };
}

static void take_job(struct evidence *ev, const char *kind, int64_t index, const json_t *o)
{
    int64_t id = json_path_int(o, "id", 0);
    struct job *j = job_of(ev->people, id);
    if (strcmp(kind, "mass-created") == 0) {
        if (j)
            ev_bad(ev, CE_LOG_INCONSISTENT, index, "mass change %lld is made a second time", (long long)id);
        j = row_add(&ev->people->jobs, sizeof *j);
        *j = (struct job){ .id = id, .created = index, .confirmed = -1, .maker = kept(ev, o, "by") };
        return;
    }
    if (!j) {
        if (!ev->erased)
            ev_bad(ev, CE_LOG_INCONSISTENT, index, "mass change %lld goes on and was never made", (long long)id);
        return;
    }
    if (strcmp(kind, "mass-counted") == 0) {
        j->matched = json_path_int(o, "matched", 0);
    } else {
        const char *by = json_path_str(o, "by", "");
        j->confirmed = index;
        j->second = strcmp(by, j->maker) != 0;
        j->limit = json_path_int(o, "limit", -1);
        if (json_path_int(o, "matched", 0) != j->matched)
            ev_bad(ev, CE_LOG_INCONSISTENT, index, "mass change %lld is confirmed with another number than was counted", (long long)id);
        if (json_is_true(json_object_get(o, "second")) != j->second)
            ev_bad(ev, CE_LOG_INCONSISTENT, index, "mass change %lld: who confirmed is not who the event says", (long long)id);
        if (!j->second && j->limit >= 0 && j->matched > j->limit)
            ev_bad(ev, CE_LOG_INCONSISTENT, index, "mass change %lld of %lld devices was confirmed by its maker; more than %lld take somebody else", (long long)id,
                   (long long)j->matched, (long long)j->limit);
    }
}

static void take_listed(struct evidence *ev, int64_t index, const json_t *o)
{
    struct span uids = span_str(json_path_str(o, "uids", "")), uid;
    int64_t id = json_path_int(o, "id", 0);
    struct job *j = job_of(ev->people, id);
    if (j && j->confirmed >= 0)
        ev_bad(ev, CE_LOG_INCONSISTENT, index, "mass change %lld gets devices after it was confirmed", (long long)id);
    while (span_cut(&uids, '\n', &uid) && uid.n) {
        act_add(ev, ACT_LISTED, index, arena_str(&ev->arena, uid), "", id);
        if (j)
            j->listed++;
    }
}

static void setting_add(struct rows *l, const char *name, int64_t index, const char *value)
{
    *(struct setting *)row_add(l, sizeof(struct setting)) = (struct setting){ name, index, value };
}

/* The value in force at the index; empty: none. */
static const char *setting_at(const struct rows *l, const char *name, int64_t index)
{
    const struct setting *s = l->items;
    for (size_t i = l->n; i-- > 0;)
        if (s[i].index <= index && strcmp(s[i].name, name) == 0)
            return s[i].value;
    return "";
}

/* Key identifiers of CAs are known by name: "kid:HEX" leads to the name, and the name to the state. */
static void take_ca(struct evidence *ev, const char *kind, int64_t index, const json_t *o)
{
    const char *name = kept(ev, o, "name");
    if (strcmp(kind, "ca-added") == 0)
        setting_add(&ev->people->cas, arena_printf(&ev->arena, "kid:%.64s", json_path_str(o, "kid", "")), index, name);
    else
        setting_add(&ev->people->cas, name, index, kept(ev, o, "state"));
}

static void judge_ca(struct evidence *ev, int64_t index, const json_t *o)
{
    char key[80];
    snprintf(key, sizeof key, "kid:%.64s", json_path_str(o, "kid", ""));
    const char *name = setting_at(&ev->people->cas, key, index);
    if (!ev->people->cas.n || ev->erased)
        return;
    const char *state = *name ? setting_at(&ev->people->cas, name, index) : "";
    if (!*name)
        ev_bad(ev, CE_LOG_INCONSISTENT, index, "a certificate was to be issued by a CA that the log does not know");
    else if (strcmp(state, "retired") == 0 || strcmp(state, "compromised") == 0)
        ev_bad(ev, CE_LOG_INCONSISTENT, index, "a certificate was to be issued by CA %.64s, which is %.20s", name, state);
}

static void take_intent(struct evidence *ev, bool intent, int64_t index, const json_t *o)
{
    if (intent)
        judge_ca(ev, index, o);
    if (json_path_int(o, "holder_kind", 0) == 2)
        act_add(ev, intent ? ACT_INTENT : ACT_ISSUED, index, kept(ev, o, "holder"), kept(ev, o, "spki"), 0);
}

void evidence_people_take(struct evidence *ev, int64_t index, const char *kind, const json_t *o)
{
    static const char *const words[] = { "device-added", "enroll-requested", "enroll-approved", "device-state", "line-enroll", "cert-intent", "cert-issued" };
    size_t k = 0;
    ev->people = ev->people ? ev->people : mem_calloc(1, sizeof *ev->people);
    if (strcmp(kind, "mass-listed") == 0) {
        take_listed(ev, index, o);
        return;
    }
    if (strcmp(kind, "mass-created") == 0 || strcmp(kind, "mass-counted") == 0 || strcmp(kind, "mass-confirmed") == 0) {
        take_job(ev, kind, index, o);
        return;
    }
    if (strcmp(kind, "ca-added") == 0 || strcmp(kind, "ca-state") == 0) {
        take_ca(ev, kind, index, o);
        return;
    }
    while (k < ARRAY_LEN(words) && strcmp(kind, words[k]) != 0)
        k++;
    switch (k) {
    case 0: act_add(ev, ACT_ADDED, index, kept(ev, o, "device"), kept(ev, o, "line"), 0); break;
    case 1:
    case 2:
        act_add(ev, k == 1 ? ACT_ASKED : ACT_APPROVED, index, kept(ev, o, "device"),
                arena_printf(&ev->arena, "%.64s %.64s", json_path_str(o, "spki", ""), json_path_str(o, "by", "")), 0);
        break;
    case 3:
        if (json_path_int(o, "job", 0))
            act_add(ev, ACT_CHANGED, index, kept(ev, o, "device"), "", json_path_int(o, "job", 0));
        break;
    case 4: setting_add(&ev->people->lines, kept(ev, o, "name"), index, json_is_true(json_object_get(o, "approval")) ? "yes" : ""); break;
    case 5:
    case 6: take_intent(ev, k == 5, index, o); break;
    default: break;
    }
}

/* -- judging ---------------------------------------------------------------------------------------------------------------------- */
static int act_cmp(const void *a, const void *b)
{
    const struct act *x = a, *y = b;
    int c = strcmp(x->uid, y->uid);
    return c ? c : (x->index > y->index) - (x->index < y->index);
}

static bool same_key(const char *a, const char *b) { return strlen(a) >= 64 && strncmp(a, b, 64) == 0; }

/* The newest act of this kind with the key before i. */
static const struct act *act_before(const struct act *x, size_t i, enum act_kind kind, const char *key)
{
    while (i-- > 0)
        if (x[i].kind == kind && same_key(key, x[i].text))
            return &x[i];
    return NULL;
}

static void judge_approval(struct evidence *ev, const struct act *x, size_t i, const char *line)
{
    const struct act *approved = act_before(x, i, ACT_APPROVED, x[i].text), *asked = act_before(x, i, ACT_ASKED, x[i].text);
    if (strcmp(setting_at(&ev->people->lines, line, x[i].index), "yes") != 0)
        return;
    if (!approved)
        ev_bad(ev, CE_LOG_INCONSISTENT, x[i].index, "device %.64s gets its first certificate, and nobody approved it, as its line %.48s wants", x[i].uid, line);
    else if (!asked || asked->index > approved->index)
        ev_bad(ev, CE_LOG_INCONSISTENT, approved->index, "device %.64s: an enrollment was approved that nobody asked for", x[i].uid);
    else if (strcmp(asked->text + 64, approved->text + 64) == 0)
        ev_bad(ev, CE_LOG_INCONSISTENT, approved->index, "device %.64s: who asked for its enrollment approved it", x[i].uid);
}

static void judge_change(struct evidence *ev, const struct act *x, size_t i)
{
    struct job *j = job_of(ev->people, x[i].job);
    size_t k = i;
    while (k > 0 && !(x[k - 1].kind == ACT_LISTED && x[k - 1].job == x[i].job))
        k--;
    if (!j || j->confirmed < 0 || j->confirmed > x[i].index) {
        ev_bad(ev, CE_LOG_INCONSISTENT, x[i].index, "device %.64s was changed by mass change %lld, which was not confirmed", x[i].uid, (long long)x[i].job);
        return;
    }
    if (!k)
        ev_bad(ev, CE_LOG_INCONSISTENT, x[i].index, "device %.64s was changed by mass change %lld, which it is not in", x[i].uid, (long long)j->id);
    j->changed++;
}

/* All of one device, as in the log. */
static void judge_acts(struct evidence *ev, const struct act *x, size_t n)
{
    const char *line = "";
    bool issued = false;
    for (size_t i = 0; i < n; i++) {
        if (x[i].kind == ACT_ADDED)
            line = x[i].text;
        if (x[i].kind == ACT_INTENT && !issued && *line)
            judge_approval(ev, x, i, line);
        issued |= x[i].kind == ACT_ISSUED;
        if (x[i].kind == ACT_CHANGED)
            judge_change(ev, x, i);
    }
}

void evidence_judge_people(struct evidence *ev)
{
    struct ev_people *p = ev->people;
    if (!p || ev->erased) /* what is erased may be what is asked for */
        return;
    struct act *x = p->acts.items;
    struct job *j = p->jobs.items;
    if (p->acts.n)
        qsort(x, p->acts.n, sizeof *x, act_cmp);
    for (size_t i = 0, n; i < p->acts.n; i += n) {
        for (n = 1; i + n < p->acts.n && strcmp(x[i].uid, x[i + n].uid) == 0; n++)
            ;
        judge_acts(ev, x + i, n);
    }
    for (size_t i = 0; i < p->jobs.n; i++) {
        if (j[i].confirmed >= 0 && j[i].listed != j[i].matched)
            ev_bad(ev, CE_LOG_INCONSISTENT, j[i].confirmed, "mass change %lld was confirmed for %lld devices, and %lld are listed", (long long)j[i].id,
                   (long long)j[i].matched, (long long)j[i].listed);
        if (j[i].changed)
            ev_note(ev, j[i].confirmed, "mass change %lld: %lld of %lld devices were changed, confirmed by %s", (long long)j[i].id, (long long)j[i].changed,
                    (long long)j[i].matched, j[i].second ? "a second person" : "its maker");
    }
}
