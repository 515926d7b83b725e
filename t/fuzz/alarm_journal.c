/* alarm_journal.c: a line of the journal: any bytes, as they are and behind a check that fits, so that records of every shape are met. */
#include <jansson.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/alarm.h"
#include "cli/alarm_journal.h"
#include "cli/cli.h"
#include "crypt/hash.h"

static void record_take(const json_t *record)
{
    static struct alarm_conf conf;
    struct fault f;
    CLEANUP(json_decref_p) json_t *raised = json_array(), *out = json_object();
    if (!conf.nrules)
        INVARIANT(alarm_conf_parse("fuzz", SPAN_LIT("[channel c]\ntype = command\ncommand = /bin/true\n[rule r]\nkinds = *\ncount = 2\n[rule g]\nkinds = *\ngroup = 1s\n"),
                                   &conf, &f) == CE_OK);
    struct alarm_judge *j = alarm_judge_new(&conf);
    alarm_judge_load(j, record, 0);
    alarm_judge_tick(j, 0, raised);
    alarm_judge_save(j, false, out);
    alarm_judge_tick(j, 5000, raised);
    alarm_judge_save(j, true, out);
    alarm_judge_free(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_free) struct buf line = BUF_INIT(0);
    uint8_t hash[SHA256_LEN];
    json_t *o = journal_line_read(span_of(data, size));
    json_decref(o);
    sha256(span_of(data, size), hash);
    buf_put_hex(&line, span_of(hash, 8));
    buf_put_u8(&line, ' ');
    buf_put(&line, data, size);
    o = journal_line_read(buf_span(&line));
    if (o)
        record_take(o);
    json_decref(o);
    return 0;
}
#include "t/fuzz/replay.h"
