/* topic.c: topic rights: what a template covers, by the rules of MQTT 4.7, and what is no template. */
#include "base/mem.h"
#include "t/tap.h"
#include "wire/topic.h"

static const struct topic_self who = { .uid = SPAN_LIT("d1"), .line = SPAN_LIT("hall") };
#define SPAN_ROW(s) { (const uint8_t *)("" s), sizeof(s) - 1 }

static void test_covers(void)
{
    static const struct { const char *tmpl, *filter; bool want; } rows[] = {
        { "d/%u/up/#", "d/d1/up/t", true },     { "d/%u/up/#", "d/d1/up", true },       { "d/%u/up/#", "d/d1/up/a/b/c", true },
        { "d/%u/up/#", "d/d2/up/t", false },    { "d/%u/up/#", "d/d1/upper", false },   { "d/%u/up/#", "d/d1", false },
        { "d/%u/up/#", "d/+/up/t", false },     { "d/%u/up/#", "d/d1/#", false },       { "d/%u/up/#", "d/d1/up/#", true },
        { "d/%u/up/#", "d/d1/up/+/x", true },   { "d/+/up/#", "d/x/up/y", true },       { "d/+/up/#", "d/+/up/#", true },
        { "d/+/up/#", "d/+/+/#", false },       { "d/+/up/#", "#", false },             { "#", "a/b", true },
        { "#", "$SYS/x", false },               { "+/x", "$SYS/x", false },             { "$SYS/#", "$SYS/x", true },
        { "d/%u", "d/d1/", false },             { "d/%u/", "d/d1/", true },             { "d//x", "d//x", true },
        { "d/+/x", "d//x", true },              { "d/%u/up/#", "", false },             { "a", "a", true },
        { "a", "b", false },                    { "d/%u/up/#", "d/d1/up//", true },     { "d/%u/up/#", "d/d11/up/x", false },
        { "d/%u/up/#", "d/d/up/x", false },     { "%l/%u/#", "hall/d1", true },         { "%l/%u/#", "hall2/d1/x", false },
        { "%l/%u/#", "hal/d1/x", false },       { "%u", "d1", true },                   { "%u/#", "d1", true },
        { "%u/#", "d12", false },               { "#", "#", true },                     { "#", "+/#", true },
        { "+/#", "#", true },                   { "+/#", "$SYS/#", false },             { "+/+/#", "#", false },
        { "a/+/#", "a/#", false },              { "a/+", "a/#", false },                { "a/+", "a/", true },
        { "a/+", "a", false },                  { "+", "+", true },                     { "+", "/", false },
        { "+/+", "/", true },                   { "/#", "/a", true },                   { "/#", "a", false },
        { "$SYS/#", "#", false },               { "$SYS/#", "+/x", false },             { "$SYS/+/x", "$SYS/a/x", true },
        { "a/$x/#", "a/$x/y", true },           { "a/+/b", "a/$x/b", true },            { "a/#", "a/$x", true },
    };
    bool all = true;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (topic_covers(span_str(rows[i].tmpl), &who, span_str(rows[i].filter)) != rows[i].want) {
            printf("# %s covers %s?\n", rows[i].tmpl, rows[i].filter);
            all = false;
        }
    ok(all, "%zu pairs of template and filter", ARRAY_LEN(rows));
    ok(!topic_covers(SPAN_LIT("%l/#"), &(struct topic_self){ .uid = SPAN_LIT("d1") }, SPAN_LIT("/x")), "who has no line matches no %%l");
}

static void test_allows(void)
{
    static const struct span write[] = { SPAN_ROW("d/%u/up/#"), SPAN_ROW("x/%u") }, read[] = { SPAN_ROW("d/%u/down/#") };
    struct topic_rights r = { .write = { write, 2 }, .read = { read, 1 } };
    static const struct { const char *topic; unsigned access; bool want; const char *what; } rows[] = {
        { "d/d1/up/a", TOPIC_WRITE, true, "a device writes its own" },
        { "x/d1", TOPIC_WRITE, true, "by the second template too" },
        { "d/d1/down/a", TOPIC_WRITE, false, "not its commands" },
        { "d/d1/up/#", TOPIC_WRITE, false, "a topic name with a wildcard is refused" },
        { "d/d1/down/a", TOPIC_READ, true, "it reads its commands" },
        { "d/d1/down/+", TOPIC_READ, false, "a name with + is none" },
        { "d/d1/down/#", TOPIC_SUBSCRIBE, true, "it subscribes to them" },
        { "d/d1/down/a#", TOPIC_SUBSCRIBE, false, "# inside a level is no filter" },
        { "d/d1/down/#/a", TOPIC_SUBSCRIBE, false, "nor before the end" },
        { "d/d1/down/a+", TOPIC_SUBSCRIBE, false, "+ inside a level is none" },
        { "", TOPIC_SUBSCRIBE, false, "nothing is no filter" },
        { "", TOPIC_WRITE, false, "nor a name" },
        { "$share/g/d/d1/down/#", TOPIC_SUBSCRIBE, true, "shared too" },
        { "$share/g/#", TOPIC_SUBSCRIBE, false, "a shared subscription is looked through" },
        { "$share//d/d1/down/#", TOPIC_SUBSCRIBE, false, "without a group it is refused" },
        { "$share/g", TOPIC_SUBSCRIBE, false, "without a filter too" },
        { "$share/g/", TOPIC_SUBSCRIBE, false, "and with an empty one" },
        { "$share/+/d/d1/down/#", TOPIC_SUBSCRIBE, false, "a group has no wildcard" },
        { "$share/g/$share/h/d/d1/down/#", TOPIC_SUBSCRIBE, false, "nothing is shared twice" },
        { "anything", TOPIC_UNSUBSCRIBE, true, "nobody is kept from unsubscribing" },
        { "d/d1/up/a", TOPIC_READ | TOPIC_WRITE, false, "an unknown access is refused" },
        { "d/d1/up/a", 0, false, "and none" },
        { "d/d1/up/\xc3\xa9", TOPIC_WRITE, true, "UTF-8 is" },
        { "d/d1/up/\xc3", TOPIC_WRITE, false, "what only looks like it is not" },
        { "d/d1/up/\xed\xa0\x80", TOPIC_WRITE, false, "a surrogate is not (MQTT 1.5.4-1)" },
        { "d/d1/down/\xff/#", TOPIC_SUBSCRIBE, false, "in filters neither" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        ok(topic_allows(&r, &who, span_str(rows[i].topic), rows[i].access, NULL) == rows[i].want, "%s", rows[i].what);
    struct span by;
    ok(topic_allows(&r, &who, SPAN_LIT("x/d1"), TOPIC_WRITE, &by) && span_eq_str(by, "x/%u"), "the template that decides is told");
    ok(!topic_allows(&r, &who, SPAN_LIT("x/d2"), TOPIC_WRITE, &by) && !by.n, "none for a refusal");
    ok(!topic_allows(&r, &who, SPAN_LIT("d/d1/up/a\0b"), TOPIC_WRITE, NULL), "U+0000 is refused (MQTT 1.5.4-2)");
    ok(!topic_allows(&r, &who, SPAN_LIT("d/d1/down/\0"), TOPIC_SUBSCRIBE, NULL), "in filters too");
}

static void test_length(void)
{
    static const struct span any[] = { SPAN_ROW("d/%u/#") };
    struct topic_rights r = { .write = { any, 1 }, .read = { any, 1 } };
    char *topic = mem_alloc(TOPIC_MAX + 1);
    memset(topic, 'x', TOPIC_MAX + 1);
    memcpy(topic, "d/d1/", 5);
    ok(topic_allows(&r, &who, span_of(topic, TOPIC_MAX), TOPIC_WRITE, NULL), "a topic of 65 535 bytes");
    ok(!topic_allows(&r, &who, span_of(topic, TOPIC_MAX + 1), TOPIC_WRITE, NULL), "and no longer one (MQTT 4.7.3-3)");
    ok(!topic_allows(&r, &who, span_of(topic, TOPIC_MAX + 1), TOPIC_SUBSCRIBE, NULL), "nor filter");
    free(topic);
}

static void test_template(void)
{
    static const char *const good[] = { "#", "+", "+/#", "d/%u/up/#", "%l/%u", "/", "a//b", "$SYS/#", "\xc3\xa9/%u" };
    static const struct { const char *text, *rule; } bad[] = {
        { "", "1 to 255 bytes" }, { "a/#/b", "4.7.1.2" }, { "a/x#", "4.7.1.2" }, { "a/x+", "4.7.1.3" }, { "+a", "4.7.1.3" },
        { "a/%c", "%u and %l" }, { "a/%", "%u and %l" }, { "a/x%u", "whole level" }, { "a/%ux", "whole level" }, { "a/%%", "%u and %l" },
        { "$share/g/a", "4.8.2" }, { "a/\x01", "1.5.4" }, { "a/\xff", "1.5.4" },
    };
    struct fault f;
    bool all = true;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        all = !topic_template_check(span_str(good[i]), true, &f) && all;
    ok(all, "%zu templates are right", ARRAY_LEN(good));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        enum err e = topic_template_check(span_str(bad[i].text), true, &f);
        ok(e == CE_BAD_FIELD && strstr(f.text, bad[i].rule), "'%s' is none: %s", i < 11 ? bad[i].text : "(bytes)", e ? f.text : "taken");
    }
    ok(topic_template_check(SPAN_LIT("a/%l"), false, &f) == CE_BAD_FIELD && strstr(f.text, "no line"), "%%l is not for backends");
    ok(!topic_template_check(SPAN_LIT("a/%u"), false, &f), "%%u is");
    char text[TOPIC_TEMPLATE_MAX + 1];
    memset(text, 'a', sizeof text);
    ok(!topic_template_check(span_of(text, TOPIC_TEMPLATE_MAX), true, &f) && topic_template_check(span_of(text, sizeof text), true, &f),
       "255 bytes are, 256 are not");
}

int main(void)
{
    test_covers();
    test_allows();
    test_length();
    test_template();
    return done();
}
