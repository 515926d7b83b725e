/* policy.c: the policy document: what is in it is found, what is not canonical is refused with its line and rule. */
#include "base/mem.h"
#include "base/name.h"
#include "t/tap.h"
#include "wire/policy.h"

#define HEAD "cradle-policy 1\n"

static void test_good(void)
{
    static const char doc[] = HEAD "line hall quarantine\n w d/%u/up/#\n w x/%l/%u\n r d/%u/down/#\n q d/%u/repair/#\n"
                                   "line lab refuse\nline lab-2 alarm\n r lab/#\n"
                                   "backend app\n w d/+/down/#\n r d/+/up/#\nbackend b\n";
    struct policy *p;
    struct fault f = { 0 };
    enum err e = policy_parse(span_str(doc), &p, &f);
    ok(!e, "a document is read: %s", e ? f.text : "ok");
    if (e)
        return;
    const struct policy_line *hall = policy_line(p, SPAN_LIT("hall")), *lab = policy_line(p, SPAN_LIT("lab"));
    ok(policy_lines(p) == 3 && policy_backends(p) == 2 && hall && lab, "three lines and two backends");
    ok(hall->clones == POLICY_CLONES_QUARANTINE && lab->clones == POLICY_CLONES_REFUSE, "clone policies");
    ok(hall->rights.write.n == 2 && hall->rights.read.n == 1 && hall->repair.read.n == 1 && hall->repair.write.n == 1, "templates of each kind");
    ok(span_eq_str(hall->rights.write.templates[1], "x/%l/%u") && span_eq_str(hall->repair.read.templates[0], "d/%u/repair/#"), "as they are written");
    ok(!lab->rights.write.n && !lab->rights.read.n && !lab->repair.read.n, "a line without templates may do nothing");
    const struct policy_backend *app = policy_backend(p, SPAN_LIT("app"));
    struct topic_self who = { .uid = SPAN_LIT("app") };
    ok(app && topic_allows(&app->rights, &who, SPAN_LIT("d/x/down/cmd"), TOPIC_WRITE, NULL), "a backend writes in its scope");
    ok(!topic_allows(&app->rights, &who, SPAN_LIT("d/x/up/t"), TOPIC_WRITE, NULL), "and nowhere else");
    ok(!policy_line(p, SPAN_LIT("app")) && !policy_backend(p, SPAN_LIT("hall")) && !policy_line(p, SPAN_LIT("la")) &&
           !policy_line(p, SPAN_LIT("lab-")) && !policy_backend(p, SPAN_LIT("")), "whatever is not in it is not found");
    policy_free(p);
    ok(!policy_parse(SPAN_LIT(HEAD), &p, &f) && !policy_lines(p) && !policy_backends(p), "an empty policy is one: nobody may do anything");
    policy_free(p);
}

static void test_bad(void)
{
    static const struct { const char *doc, *says; } rows[] = {
        { "", "line feed" },
        { "cradle-policy 1", "line feed" },
        { "cradle-policy 2\n", "line 1: it does not begin" },
        { "\n" HEAD, "line 1: it does not begin" },
        { HEAD "\n", "line 2: neither" },
        { HEAD "line a alarm\n\n", "line 3: neither" },
        { HEAD "line a alarm\r\n", "line 2: a line is" },
        { HEAD "line a\n", "line 2: a line is" },
        { HEAD "line a alarm \n", "line 2: a line is" },
        { HEAD "line  alarm\n", "line 2: the name" },
        { HEAD "line a/b alarm\n", "line 2: the name" },
        { HEAD "# a comment\n", "line 2: neither" },
        { HEAD " w a\n", "line 2: a template before" },
        { HEAD "line b alarm\nline a alarm\n", "line 3: names ascend" },
        { HEAD "line a alarm\nline a alarm\n", "line 3: names ascend" },
        { HEAD "backend b\nbackend a\n", "line 3: names ascend" },
        { HEAD "backend b\nline a alarm\n", "line 3: lines come before" },
        { HEAD "line a alarm\n x a\n", "line 3: a template is" },
        { HEAD "line a alarm\n  w a\n", "line 3: a template is" },
        { HEAD "line a alarm\n w\n", "line 3: a template is" },
        { HEAD "line a alarm\n w \n", "line 3: a template is" },
        { HEAD "line a alarm\n w a/#/b\n", "line 3: topic template 'a/#/b': # is the last level" },
        { HEAD "line a alarm\n r a\n w a\n", "line 4: templates come in the order" },
        { HEAD "line a alarm\n w a\n q a\n r a\n", "line 5: templates come in the order" },
        { HEAD "backend a\n q a\n", "line 3: a backend's filter" },
        { HEAD "backend a\n w a/%l\n", "line 3: topic template 'a/%l': %l is for devices" },
        { HEAD "backend \n", "line 2: the name" },
        { HEAD "line a alarm\n w 1\n w 2\n w 3\n w 4\n w 5\n w 6\n w 7\n w 8\n w 9\n", "line 11: more than 8" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct policy *p = (struct policy *)1;
        struct fault f = { 0 };
        enum err e = policy_parse(span_str(rows[i].doc), &p, &f);
        ok(e == CE_BAD_CONFIG && !p && strstr(f.text, rows[i].says), "refused: %s", e ? f.text : "it was taken");
    }
}

static void test_size(void)
{
    CLEANUP(buf_free) struct buf doc = BUF_INIT(POLICY_MAX + 100);
    struct policy *p;
    struct fault f;
    buf_put_str(&doc, HEAD);
    unsigned n = 0;
    for (; doc.len + 300 < POLICY_MAX; n++) { /* names are as long as they may be */
        buf_printf(&doc, "line l%047u alarm\n w d/%%u/up/#\n r d/%%u/down/#\n q d/%%u/repair/#\n", n);
    }
    ok(!policy_parse(buf_span(&doc), &p, &f) && policy_lines(p) == n, "%u lines fit into the largest document", n);
    bool all = true;
    for (unsigned i = 0; i < n; i++) {
        char name[LABEL_MAX + 1];
        snprintf(name, sizeof name, "l%047u", i);
        const struct policy_line *l = policy_line(p, span_str(name));
        all &= l && l->repair.read.n == 1;
    }
    ok(all, "each is found");
    policy_free(p);
    while (doc.len <= POLICY_MAX)
        buf_put_u8(&doc, '\n');
    ok(policy_parse(buf_span(&doc), &p, &f) == CE_TOO_LARGE && !p, "a larger one is refused: %s", f.text);
}

static void test_clones(void)
{
    enum policy_clones c;
    ok(policy_clones_from_name(SPAN_LIT("refuse"), &c) && c == POLICY_CLONES_REFUSE && !strcmp(policy_clones_name(c), "refuse") &&
           !policy_clones_from_name(SPAN_LIT("ref"), &c), "clone policies by name");
}

int main(void)
{
    test_good();
    test_bad();
    test_size();
    test_clones();
    return done();
}
