/* alarm_event.c: any JSON as events, one a line, through rules into alarms and mails: everything stays bounded, and no text of others
 * becomes a header, a line or a byte that a terminal acts on. */
#include <jansson.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/alarm.h"
#include "cli/cli.h"
#include "wire/msg.h"

static const char conf_text[] =
    "name = plant\n[channel mail]\ntype = mail\nto = a@example.com\nfrom = b@example.com\n"
    "[rule all]\nkinds = *\n[rule some]\nkinds = refused cut\nwhen = reason!=x* count>=0\nsum = count\ncount = 3\nwindow = 1s\nby = addr\n"
    "[rule gathered]\nkinds = *\ngroup = 1s\n";

static void mail_check(const json_t *body)
{
    static const struct alarm_channel ch = { .cfg = { .to = "a@example.com", .from = "b@example.com" } };
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    size_t lines = 0, col = 0;
    bool head = true;
    INVARIANT(alarm_mail(&ch, body, &out) == CE_OK);
    for (size_t i = 0; i < out.len; i++) {
        uint8_t c = out.data[i];
        INVARIANT(c == '\n' || (c >= 0x20 && c < 0x7f));
        if (c != '\n') {
            INVARIANT(++col <= (head ? 998 : 76));
            continue;
        }
        lines += head && i && col && (i + 1 == out.len || out.data[i + 1] != ' '); /* a folded header is one */
        head = head && col;
        col = 0;
    }
    INVARIANT(lines == (strcmp(json_path_str(body, "severity", ""), "critical") == 0 ? 11 : 10));
}

static void raised_check(const json_t *raised)
{
    size_t i;
    json_t *one;
    json_array_foreach(raised, i, one) {
        CLEANUP(mem_free_p) char *text = json_dumps(json_object_get(one, "body"), JSON_COMPACT);
        INVARIANT(text && strlen(text) < 65536);
        mail_check(json_object_get(one, "body"));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct alarm_conf conf;
    struct span rest = span_of(data, size), line;
    struct fault f;
    CLEANUP(json_decref_p) json_t *raised = json_array(), *record = json_object();
    if (!conf.nrules)
        INVARIANT(alarm_conf_parse("fuzz", span_str(conf_text), &conf, &f) == CE_OK);
    struct alarm_judge *j = alarm_judge_new(&conf), *again = alarm_judge_new(&conf);
    for (int n = 0; n < 50 && span_cut(&rest, '\n', &line); n++) {
        json_t *event = NULL;
        if (json_parse(line, &event, &f) == CE_OK && json_is_object(event))
            alarm_judge_event(j, event, n * 300, raised);
        alarm_judge_tick(j, n * 300, raised);
        json_decref(event);
    }
    alarm_judge_save(j, true, record);
    alarm_judge_load(again, record, 0);
    alarm_judge_tick(again, 10000, raised);
    raised_check(raised);
    alarm_judge_free(j);
    alarm_judge_free(again);
    return 0;
}
#include "t/fuzz/replay.h"
