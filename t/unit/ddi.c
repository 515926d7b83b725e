/* ddi.c: hawkBit's DDI: bodies as SWUpdate, rauc-hawkbit-updater and Zephyr send them, their oddities included, and what they are given. */
#include "t/tap.h"
#include "wire/ddi.h"
#include "wire/msg.h"

static struct arena arena;
static struct ddi_feedback fb;
static struct fault f;

#define STATUS(result, execution, details) "{ \"id\": 7, \"time\": \"20261121T053000\", \"status\": { \"result\": { " result " }, \"execution\": \"" execution "\"" details " } }"
#define NONE(cnt, of) "\"progress\": { \"cnt\" : " cnt ", \"of\" : " of " }, \"finished\": \"none\""
#define DETAILS(text) ", \"details\" : [ " text " ]"

static enum err feed(struct span body) { return ddi_feedback_read(body, &arena, &fb, &f); }
static bool feeds(const char *body) { return feed(span_str(body)) == CE_OK; }
static bool state_is(const char *want, bool trying) { return strcmp(ddi_feedback_state(&fb, trying), want) == 0; }

static void test_meaning(void)
{
    ok(feeds(STATUS(NONE("0", "1"), "proceeding", DETAILS("\"Installing Update Chunk Artifacts.\""))) && fb.id == 7 && state_is("installing", false) &&
       ddi_feedback_percent(&fb) == 0 && span_eq_str(fb.text, "Installing Update Chunk Artifacts."), "SWUpdate begins");
    ok(feeds(STATUS(NONE("0", "0"), "proceeding", DETAILS("\"a\",\"b\""))) && state_is("installing", false) && span_eq_str(fb.text, "a b"), "its log of no progress");
    ok(feeds(STATUS(NONE("1", "1"), "proceeding", DETAILS("\"All Chunks Installed.\""))) && state_is("installed", false) && ddi_feedback_percent(&fb) == 100,
       "all its chunks are written: installed, not confirmed");
    ok(feeds(STATUS("\"finished\": \"success\"", "closed", DETAILS("\"Update Installed.\""))) && state_is("confirmed", true), "it closes after the restart: confirmed");
    ok(feeds("{\"id\":\"7\",\"status\":{\"result\":{\"finished\":\"success\"},\"execution\":\"closed\",\"details\":[\"Software bundle installed successfully.\"]}}") &&
       fb.id == 7 && state_is("installed", false), "RAUC closes when the file is written: installed, not confirmed");
    ok(feeds("{\"id\":\"7\",\"status\":{\"result\":{\"finished\":\"success\"},\"execution\":\"closed\"}}") && state_is("installed", false) && !fb.text.n, "Zephyr, without details");
    ok(feeds(STATUS("\"finished\": \"none\"", "closed", "")) && state_is("installed", true), "closed with no result confirms nothing");
    ok(feeds(STATUS("\"finished\": \"failure\"", "closed", "")) && state_is("failed", true) && state_is("failed", false), "a failure is one");
    ok(feeds(STATUS("\"finished\": \"none\"", "rejected", "")) && state_is("postponed", false), "rejected: not now");
    ok(feeds(STATUS("\"finished\": \"none\"", "scheduled", "")) && state_is("downloading", false), "scheduled: it goes on by itself");
    ok(feeds(STATUS("\"finished\": \"none\"", "canceled", "")) && state_is("declined", false), "canceled by the user");
    ok(feeds(STATUS("\"finished\": \"none\"", "download", "")) && state_is("downloading", false), "download");
    ok(feeds(STATUS("\"finished\": \"none\"", "downloaded", "")) && state_is("downloaded", false), "downloaded");
    ok(feeds(STATUS(NONE("3", "2"), "proceeding", "")) && ddi_feedback_percent(&fb) == 100 && state_is("installing", false), "3 of 2 is no more than all, and no end");
    ok(feeds("{\"status\":{\"result\":{\"finished\":\"none\"},\"execution\":\"resumed\"}}") && fb.id == 0, "the action's number may be missing");
}

static void test_details(void)
{
    static const char torn[] = STATUS("\"finished\": \"failure\"", "closed", DETAILS("\"ERROR : file \"x\\y\" \033[31m\tnot there\377\xc3\",\"]} it said\""));
    ok(feed(span_of(torn, sizeof torn - 1)) == CE_OK && state_is("failed", false), "quotes, escapes of a terminal and torn UTF-8 in a log line are read over");
    ok(span_eq_str(fb.text, "ERROR : file \"x\\y\" [31m not there \",\"]} it said"), "its text is kept, without what steers a terminal");
    static const char nul[] = "{\"status\":{\"result\":{\"finished\":\"failure\"},\"execution\":\"closed\",\"details\":[\"a\0b\"]}}";
    ok(feed(span_of(nul, sizeof nul - 1)) == CE_OK && span_eq_str(fb.text, "a b"), "a NUL byte as well");
    char big[3000] = "{\"status\":{\"result\":{\"finished\":\"none\"},\"execution\":\"proceeding\",\"details\":[\"";
    size_t n = strlen(big);
    memset(big + n, 'x', 2000);
    memcpy(big + n + 2000, "\"]}}", 5);
    ok(feeds(big) && fb.text.n == DDI_TEXT_MAX, "long details are cut");
    big[n + 5] = '"';
    ok(feeds(big) && fb.text.n == DDI_TEXT_MAX, "long odd ones too");
    ok(feeds("{\"status\":{\"result\":{\"finished\":\"none\"},\"execution\":\"proceeding\",\"details\":7}}") && !fb.text.n, "details that are no list say nothing");
    ok(feed(SPAN_LIT("{\"status\":{\"result\":{\"finished\":\"none\"},\"execution\":\"proceeding\",\"details\":[\"caf\xc3\xa9 \xe2\x80\xae\"]}}")) == CE_OK &&
       span_eq_str(fb.text, "caf\xc3\xa9"), "what turns the direction of text is left out");
}

static void test_refused(void)
{
    static const struct { const char *body, *why; enum err e; } rows[] = {
        { "", "", CE_BAD_JSON }, { "[]", "status", CE_BAD_FIELD }, { "{\"status\":{}}", "result", CE_BAD_FIELD },
        { "{\"status\":{\"result\":{\"finished\":\"maybe\"},\"execution\":\"closed\"}}", "'finished'", CE_BAD_FIELD },
        { "{\"status\":{\"result\":{\"finished\":\"none\"},\"execution\":\"begun\"}}", "'execution'", CE_BAD_FIELD },
        { "{\"id\":0,\"status\":{\"result\":{\"finished\":\"none\"},\"execution\":\"closed\"}}", "'id'", CE_BAD_FIELD },
        { "{\"id\":\"07\",\"status\":{\"result\":{\"finished\":\"none\"},\"execution\":\"closed\"}}", "'id'", CE_BAD_FIELD },
        { "{\"id\":2147483648,\"status\":{\"result\":{\"finished\":\"none\"},\"execution\":\"closed\"}}", "'id'", CE_BAD_FIELD },
        { "{\"status\":{\"result\":{\"finished\":\"none\"},,\"details\":[\"\"x\"]}}", "", CE_BAD_JSON },
        { "{\"status\":{\"result\":{\"finished\":\"none\"},\"execution\":\"closed\"", "", CE_BAD_JSON },
        { "{\"status\":[\"details\"", "", CE_BAD_JSON }, { "}\"details\"", "", CE_BAD_JSON }, { "\"details\"\"", "", CE_BAD_JSON },
    };
    bool all = true;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        f = (struct fault){ 0 };
        enum err e = feed(span_str(rows[i].body));
        if (e != rows[i].e || !strstr(f.text, rows[i].why) || !f.text[0]) {
            printf("# %s: %s: %s\n", rows[i].body, err_name(e), f.text);
            all = false;
        }
    }
    ok(all, "%zu bodies that are no feedback are refused, with the rule", ARRAY_LEN(rows));
    ok(ddi_action(SPAN_LIT("7")) == 7 && ddi_action(SPAN_LIT("2147483647")) == 2147483647 && !ddi_action(SPAN_LIT("2147483648")) && !ddi_action(SPAN_LIT("07")) &&
       !ddi_action(SPAN_LIT("0")) && !ddi_action(SPAN_LIT("-1")) && !ddi_action(SPAN_LIT("")) && !ddi_action(SPAN_LIT("7x")) && !ddi_action(SPAN_LIT("12345678901")),
       "numbers of actions");
}

static void test_config(void)
{
    struct span v;
    ok(ddi_config_read(SPAN_LIT("{ \"id\": \"\", \"status\": { \"details\" : [ \"\" ] }, \"data\" : { \"version\": \"1.6.0\", \"board\": \"vib\" } }"), &arena, &v, &f) == CE_OK &&
       span_eq_str(v, "1.6.0"), "SWUpdate's attributes");
    ok(ddi_config_read(SPAN_LIT("{\"mode\":\"merge\",\"data\":{\"VIN\":\"01\",\"hwRevision\":3}}"), &arena, &v, &f) == CE_OK && !v.n, "Zephyr's, without a version");
    ok(ddi_config_read(SPAN_LIT("{\"data\":{\"version\":7}}"), &arena, &v, &f) == CE_BAD_FIELD, "a version must be a text");
    ok(ddi_config_read(SPAN_LIT("{\"data\":{\"version\":\"a\\u0007\"}}"), &arena, &v, &f) == CE_BAD_NAME && !v.n, "without control characters");
    ok(ddi_config_read(SPAN_LIT("{}"), &arena, &v, &f) == CE_BAD_FIELD, "attributes must be there");
}

static bool wrote(struct buf *b, const char *want)
{
    bool same = buf_err(b) == CE_OK && span_eq_str(buf_span(b), want);
    if (!same)
        printf("# " SPAN_FMT "\n# %s\n", SPAN_ARG(buf_span(b)), want);
    buf_reset(b);
    return same;
}

#define U "https://h:1/DEFAULT/controller/v1/d1/"
static void test_written(void)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(4096);
    const struct ddi_site s = { .url = SPAN_LIT("https://h:1"), .tenant = SPAN_LIT("DEFAULT"), .uid = SPAN_LIT("d1") };
    ddi_base_write(&s, 300, 0, 0, false, &b);
    ok(wrote(&b, "{\"config\":{\"polling\":{\"sleep\":\"00:05:00\"}},\"_links\":{}}"), "nothing to do");
    ddi_base_write(&s, 86399, 7, 0, true, &b);
    ok(wrote(&b, "{\"config\":{\"polling\":{\"sleep\":\"23:59:59\"}},\"_links\":{\"deploymentBase\":{\"href\":\"" U "deploymentBase/7\"},\"configData\":{\"href\":\"" U "configData\"}}}"),
       "an action, and a wish for attributes");
    ddi_base_write(&s, 9999999, 7, 6, false, &b);
    ok(wrote(&b, "{\"config\":{\"polling\":{\"sleep\":\"23:59:59\"}},\"_links\":{\"cancelAction\":{\"href\":\"" U "cancelAction/6\"}}}"), "a cancel goes before an action; a day is the most");
    ddi_base_write(&s, 0, 0, 0, false, &b);
    ok(wrote(&b, "{\"config\":{\"polling\":{\"sleep\":\"00:00:01\"}},\"_links\":{}}"), "and a second the least");
    ddi_cancel_write(6, &b);
    ok(wrote(&b, "{\"id\":\"6\",\"cancelAction\":{\"stopId\":\"6\"}}"), "a cancel");
    const struct ddi_deployment d = { .id = 7, .name = SPAN_LIT("r\"7"), .version = SPAN_LIT("1.7"), .filename = SPAN_LIT("a.swu"), .sha1 = SPAN_LIT("\x01"),
                                      .md5 = SPAN_LIT("\x02"), .sha256 = SPAN_LIT("\x03"), .size = 9, .url = SPAN_LIT("https://h:1/x"), .forced = true };
    ddi_deployment_write(&d, &b);
    ok(wrote(&b, "{\"id\":\"7\",\"deployment\":{\"download\":\"forced\",\"update\":\"forced\",\"chunks\":[{\"part\":\"bApp\",\"version\":\"1.7\",\"name\":\"r\\\"7\",\"artifacts\":["
                 "{\"filename\":\"a.swu\",\"hashes\":{\"sha1\":\"01\",\"md5\":\"02\",\"sha256\":\"03\"},\"size\":9,\"_links\":{\"download\":{\"href\":\"https://h:1/x\"},"
                 "\"download-http\":{\"href\":\"https://h:1/x\"}}}]}]}}"), "a deployment: one chunk, one artifact");
}

int main(void)
{
    test_meaning();
    test_details();
    test_refused();
    test_config();
    test_written();
    arena_free(&arena);
    return done();
}
