/* policy.c: fuzz target of the policy document. */
#include "base/log.h"
#include "wire/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void set_check(const struct topic_set *set, struct span doc_max)
{
    struct fault f;
    INVARIANT(set->n <= TOPIC_TEMPLATES);
    for (unsigned i = 0; i < set->n; i++)
        INVARIANT(set->templates[i].n <= doc_max.n && !topic_template_check(set->templates[i], true, &f));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy *p;
    struct fault f = { 0 };
    struct span doc = span_of(data, size), rest = doc, text;
    size_t lines = 0, backends = 0, cas = 0;
    if (policy_parse(doc, &p, &f)) {
        INVARIANT(!p && f.text[0]);
        return 0;
    }
    while (span_cut(&rest, '\n', &text)) { /* whatever begins a section is found by its name */
        struct span word = { 0 }, name = { 0 };
        if (span_starts(text, "ca ")) {
            cas++;
            continue;
        }
        if (span_starts(text, " ") || span_starts(text, "cradle-policy "))
            continue;
        span_cut(&text, ' ', &word);
        span_cut(&text, ' ', &name);
        const struct policy_line *l = span_eq_str(word, "line") ? policy_line(p, name) : NULL;
        const struct policy_backend *b = span_eq_str(word, "backend") ? policy_backend(p, name) : NULL;
        INVARIANT(l || b);
        lines += l != NULL;
        backends += b != NULL;
        if (l) {
            INVARIANT(span_eq(l->name, name) && l->clones <= POLICY_CLONES_REFUSE && l->repair.read.n == l->repair.write.n);
            set_check(&l->repair.read, doc);
        }
        set_check(l ? &l->rights.read : &b->rights.read, doc);
        set_check(l ? &l->rights.write : &b->rights.write, doc);
    }
    INVARIANT(lines == policy_lines(p) && backends == policy_backends(p) && cas == policy_cas(p));
    INVARIANT(!policy_line(p, SPAN_LIT("")) && !policy_backend(p, SPAN_LIT("~")));
    policy_free(p);
    return 0;
}

#include "t/fuzz/replay.h"
