/* base.c: the foundation: bytes, encodings, time, names, files, the error table. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/name.h"
#include "t/tap.h"

static void test_errors(void)
{
    int twice = 0, bad = 0;
    for (unsigned i = 1; i < CE_COUNT; i++) {
        for (unsigned k = 1; k < i; k++)
            twice += strcmp(err_reason(i), err_reason(k)) == 0;
        bad += err_from_reason(err_reason(i)) != i || (err_http(i) < 400 && i != CE_PENDING) /* 202 */ || err_exit(i) == 0 || strlen(err_text(i)) < 10;
    }
    ok(twice == 0, "no reason code occurs twice");
    ok(bad == 0, "every error has a reason, a text, an HTTP status and an exit code");
    struct fault f;
    ok(fault_set(&f, CE_BAD_UID, "a%cb", '\n') == CE_BAD_UID && strcmp(f.text, "a?b") == 0, "a fault's text has no control bytes");
}

static void test_bytes(void)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(8);
    buf_put_str(&b, "12345678");
    ok(buf_err(&b) == CE_OK, "a buf takes its maximum");
    buf_put_u8(&b, 1);
    ok(buf_err(&b) == CE_TOO_LARGE && b.len == 8, "one more is an error and changes nothing");
    struct span rest = SPAN_LIT("a,,b"), head;
    int n = 0;
    while (span_cut(&rest, ',', &head))
        n++;
    ok(n == 3, "span_cut sees empty fields");
    int64_t v;
    ok(span_to_i64(SPAN_LIT("-9223372036854775808"), &v) && v == INT64_MIN, "the least number");
    ok(!span_to_i64(SPAN_LIT("9223372036854775808"), &v) && !span_to_i64(SPAN_LIT(""), &v) && !span_to_i64(SPAN_LIT("1x"), &v), "numbers out of range, empty, with rest");
    ok(span_is_utf8(SPAN_LIT("g\xc3\xbc")) && !span_is_utf8(SPAN_LIT("\xc0\x80")) && !span_is_utf8(SPAN_LIT("a\nb")) && !span_is_utf8(SPAN_LIT("\xed\xa0\x80")), "UTF-8: overlong, control, surrogate refused");
    ok(span_eq_nocase(SPAN_LIT("X-I"), "x-i") && !span_eq_nocase(SPAN_LIT("x-i"), "x-ii") && !span_eq_nocase(SPAN_LIT("[i"), "{i"), "comparison without case");
    ok(!span_is_utf8(SPAN_LIT("\xc2\x9b" "31m")) && !span_is_utf8(SPAN_LIT("\xe2\x80\xaegnp")) && !span_is_utf8(SPAN_LIT("\xe2\x81\xa6x")) && !span_is_utf8(SPAN_LIT("\xe2\x80\xa8")) &&
       span_is_utf8(SPAN_LIT("\xc2\xa0\xe2\x80\xa6\xe2\x82\xac")), "C1 controls, line separators and bidirectional overrides refused");
}

static void test_base64(void)
{
    static const struct { const char *text; enum err want; const char *out; } rows[] = {
        { "aGVsbG8=", CE_OK, "hello" }, { "aGVs\r\n bG8=\n", CE_OK, "hello" }, { "aGVsbG8", CE_OK, "hello" }, { "aGVsbG8==", CE_BAD_BASE64, "" },
        { "a", CE_BAD_BASE64, "" }, { "aGVs=bG8", CE_BAD_BASE64, "" }, { "aG*s", CE_BAD_BASE64, "" }, { "====", CE_BAD_BASE64, "" }, { "", CE_OK, "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_free) struct buf out = BUF_INIT(0);
        enum err e = base64_decode(span_str(rows[i].text), &out);
        ok(e == rows[i].want && (e || span_eq_str(buf_span(&out), rows[i].out)), "base64 %zu", i);
    }
    for (size_t n = 0; n < 100; n++) {
        uint8_t raw[100];
        CLEANUP(buf_free) struct buf text = BUF_INIT(0), back = BUF_INIT(0);
        memset(raw, (int)(n * 37), n);
        buf_put_base64(&text, span_of(raw, n), 64);
        if (base64_decode(buf_span(&text), &back) || !span_eq(buf_span(&back), span_of(raw, n)))
            ok(0, "base64 of %zu bytes comes back", n);
    }
}

static void test_clock(void)
{
    int64_t at, back;
    char text[CLOCK_TEXT_MAX];
    ok(clock_parse_ms(SPAN_LIT("2026-11-20T22:57:00Z"), &at) == CE_OK && at == 1795215420000, "a time is parsed");
    clock_text_ms(at + 7, text);
    ok(strcmp(text, "2026-11-20T22:57:00.007Z") == 0, "and written: %s", text);
    ok(clock_parse_ms(SPAN_LIT("2026-02-29T00:00:00Z"), &at) != CE_OK && clock_parse_ms(SPAN_LIT("2028-02-29T00:00:00Z"), &at) == CE_OK, "leap days");
    int wrong = 0;
    for (int64_t s = 0; s < 253402300800; s += 86400 * 13 + 12345) {
        clock_text_s(s, text);
        wrong += clock_parse_ms(span_str(text), &back) || back != s * 1000;
    }
    ok(wrong == 0, "dates from 1970 to 9999 come back");
    ok(clock_parse_span_s(SPAN_LIT("2y"), &at) == CE_OK && at == 63072000 && clock_parse_span_s(SPAN_LIT("-1"), &at) != CE_OK && clock_parse_span_s(SPAN_LIT("d"), &at) != CE_OK, "time spans");
}

static void test_names(void)
{
    struct fault f;
    static const char *const bad[] = { "", "a/b", "a+b", "a#b", "a b", ".", "..", "-a", "a\tb", "\xc3\xbc", "a$b" };
    ok(name_check_uid(SPAN_LIT("vib-0001:A.b_c"), &f) == CE_OK, "a good UID");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ok(name_check_uid(span_str(bad[i]), &f) == CE_BAD_UID, "bad UID %zu", i);
    ok(name_check_uid(SPAN_LIT("a\0b"), &f) == CE_BAD_UID, "a UID with NUL");
}

struct sample_config {
#define CFG CONFIG_FIELD
    CFG(STR, name, "x", 1, 5, "", "a name")
    CFG(INT, size, "7", 1, 9, "B", "a size")
    CFG(SPAN_S, life, "1h", 1, 7200, "s", "a life")
    CFG(BOOL, on, "yes", 0, 0, "", "a switch")
#undef CFG
};
static const struct config_key sample_keys[] = {
#define CFG(...) CONFIG_ROW(sample_config, __VA_ARGS__)
    CFG(STR, name, "x", 1, 5, "", "a name") CFG(INT, size, "7", 1, 9, "B", "a size") CFG(SPAN_S, life, "1h", 1, 7200, "s", "a life")
    CFG(BOOL, on, "yes", 0, 0, "", "a switch")
#undef CFG
};

static void test_config(void)
{
    struct sample_config c;
    struct fault f;
    ok(config_parse(sample_keys, 4, "f", SPAN_LIT("# c\nsize = 3 # three\nlife=90m\n\non = no\n"), &c, &f) == CE_OK && c.size == 3 && c.life == 5400 && !c.on && strcmp(c.name, "x") == 0, "a configuration with defaults and comments");
    static const struct { const char *text, *why; } bad[] = {
        { "sizes = 3\n", "f:1: unknown key 'sizes'" }, { "\nsize = 10\n", "f:2: size must be a whole number from 1 to 9 B" }, { "size = 1\nsize = 2\n", "f:2: size is set a second time" },
        { "size\n", "f:1: expected 'key = value'" }, { "on = true\n", "f:1: on must be yes or no" }, { "name = toolong\n", "f:1: name must be text of 1 to 5 bytes" },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ok(config_parse(sample_keys, 4, "f", span_str(bad[i].text), &c, &f) == CE_BAD_CONFIG && strcmp(f.text, bad[i].why) == 0, "refused: %s", f.text);
    CLEANUP(buf_free) struct buf dump = BUF_INIT(0);
    c.life = 5;
    config_dump(sample_keys, 4, &c, true, &dump);
    struct sample_config again;
    ok(config_parse(sample_keys, 4, "dump", buf_span(&dump), &again, &f) == CE_OK && again.life == 5, "what is dumped is read back");
}

static void test_files(void)
{
    char dir[] = "/tmp/base-test-XXXXXX", path[PATH_MAX_LEN];
    struct stat st;
    CLEANUP(buf_free) struct buf back = BUF_INIT(100);
    if (!mkdtemp(dir))
        ok(0, "mkdtemp");
    path_join(path, "%s/x", dir);
    ok(file_write_atomic(path, SPAN_LIT("one"), 0600) == CE_OK && file_write_atomic(path, SPAN_LIT("two"), 0600) == CE_OK, "written and replaced");
    ok(file_read(path, &back) == CE_OK && span_eq_str(buf_span(&back), "two"), "read");
    ok(file_write_new(path, SPAN_LIT("three"), 0600) == CE_EXISTS, "file_write_new never replaces");
    ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600, "the mode is 0600");
    ok(file_write_atomic("/proc/none/x", SPAN_LIT("x"), 0600) != CE_OK, "a folder that is not there");
    unlink(path);
    rmdir(dir);
    ok(file_read(path, &back) == CE_NOT_FOUND, "a missing file");
}

static void test_json(void)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    struct json_out j = JSON_OUT(&b);
    json_obj(&j, NULL);
    json_str(&j, "t", SPAN_LIT("a\"\\\n\xff\xc3\xbc"));
    json_arr(&j, "l");
    json_int(&j, NULL, -1);
    json_bool(&j, NULL, true);
    json_arr_end(&j);
    json_hex(&j, "h", SPAN_LIT("\x01\xff"));
    json_obj_end(&j);
    ok(strcmp(buf_cstr(&b), "{\"t\":\"a\\\"\\\\\\u000a\xef\xbf\xbd\xc3\xbc\",\"l\":[-1,true],\"h\":\"01ff\"}") == 0, "JSON is escaped: %s", buf_cstr(&b));
    struct arena a = { 0 };
    char *p = arena_printf(&a, "%s-%d", "x", 7);
    ok(strcmp(p, "x-7") == 0 && arena_alloc(&a, 100000) != NULL, "the arena");
    arena_free(&a);
    CLEANUP(buf_free) struct buf steer = BUF_INIT(0);
    struct json_out k = JSON_OUT(&steer);
    json_str(&k, NULL, SPAN_LIT("\xc2\x85\xe2\x80\xa8\xe2\x81\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xe2\x80"));
    ok(strcmp(buf_cstr(&steer), "\"\\u0085\\u2028\\u2069\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd\"") == 0,
       "what steers a terminal is escaped, what is malformed replaced: %s", buf_cstr(&steer));
}

int main(void)
{
    test_errors();
    test_bytes();
    test_base64();
    test_clock();
    test_names();
    test_config();
    test_files();
    test_json();
    return done();
}
