/* alarm_send.c: how alarms leave: mails that nobody can write into, signatures, programs with a limit, what answers mean. */
#include <jansson.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/alarm.h"
#include "cli/cli.h"
#include "crypt/hash.h"
#include "t/tap.h"

static const struct alarm_channel mail = { .name = "mail", .type = ALARM_MAIL, .cfg = { .to = "a@example.com  b@example.com", .from = "cradle@example.com" } };

static void test_hmac(void)
{
    static const struct { const char *key, *data, *mac; } rows[] = { /* RFC 4231, 4.2, 4.3, 4.7 */
        { "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
        { "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
        { NULL, "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374",
          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_free) struct buf key = BUF_INIT(0), data = BUF_INIT(0), hex = BUF_INIT(0);
        uint8_t mac[SHA256_LEN];
        for (int k = 0; !rows[i].key && k < 131; k++) /* longer than a block */
            buf_put_u8(&key, 0xaa);
        bool good = !hex_decode(span_str(rows[i].key), &key) && !hex_decode(span_str(rows[i].data), &data);
        hmac_sha256(buf_span(&key), buf_span(&data), mac);
        buf_put_hex(&hex, span_of(mac, sizeof mac));
        ok(good && span_eq_str(buf_span(&hex), rows[i].mac), "HMAC-SHA256 vector %zu of RFC 4231", i);
    }
    CLEANUP(buf_free) struct buf secret = BUF_INIT(0), sig = BUF_INIT(0);
    ok(!base64_decode(SPAN_LIT("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), &secret), "the secret of the published example");
    alarm_sign(buf_span(&secret), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, "{\"test\": 2432232314}", &sig);
    ok(span_eq_str(buf_span(&sig), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="), "Standard Webhooks: its signature");
}

static void test_outcomes(void)
{
    static const struct { int status; enum alarm_outcome o; } rows[] = {
        { 200, ALARM_TAKEN }, { 202, ALARM_TAKEN }, { 0, ALARM_AGAIN }, { 500, ALARM_AGAIN }, { 503, ALARM_AGAIN }, { 429, ALARM_AGAIN }, { 408, ALARM_AGAIN },
        { 425, ALARM_AGAIN }, { 301, ALARM_REFUSED }, { 400, ALARM_REFUSED }, { 404, ALARM_REFUSED }, { 410, ALARM_REFUSED },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        ok(alarm_hook_outcome(rows[i].status) == rows[i].o, "status %d", rows[i].status);
    ok(alarm_exit_outcome(ALARM_COMMAND, 0) == ALARM_TAKEN && alarm_exit_outcome(ALARM_COMMAND, 75) == ALARM_AGAIN &&
           alarm_exit_outcome(ALARM_COMMAND, 127) == ALARM_AGAIN && alarm_exit_outcome(ALARM_COMMAND, -1) == ALARM_AGAIN &&
           alarm_exit_outcome(ALARM_COMMAND, 1) == ALARM_REFUSED, "exit codes of a command");
    ok(alarm_exit_outcome(ALARM_MAIL, 67) == ALARM_REFUSED && alarm_exit_outcome(ALARM_MAIL, 75) == ALARM_AGAIN &&
           alarm_exit_outcome(ALARM_MAIL, 71) == ALARM_AGAIN && alarm_exit_outcome(ALARM_MAIL, 1) == ALARM_AGAIN, "exit codes of sendmail");
    char base[64];
    const char *path;
    ok(!alarm_url_cut("https://h:8443/a/b?c=d", base, sizeof base, &path, NULL) && !strcmp(base, "https://h:8443") && !strcmp(path, "/a/b?c=d"), "a URL is cut");
    ok(!alarm_url_cut("https://h", base, sizeof base, &path, NULL) && !strcmp(base, "https://h") && !strcmp(path, "/"), "one without a path");
    ok(alarm_url_cut("https://h/\r\nX: y", base, sizeof base, &path, NULL) && alarm_url_cut("ftp://h/", base, sizeof base, &path, NULL) &&
           alarm_url_cut("https:///x", base, sizeof base, &path, NULL) && alarm_url_cut("https://h?x", base, sizeof base, &path, NULL), "bad ones are refused");
    ok(net_url_is_loopback("http://127.0.0.1:1/") && net_url_is_loopback("http://[::1]:1/") && net_url_is_loopback("http://LOCALHOST") &&
           !net_url_is_loopback("http://127.x.example/") && !net_url_is_loopback("http://localhost.example/") && !net_url_is_loopback("http://[::2]/"), "what is this host");
}

/* -- mail ------------------------------------------------------------------------------------------------------------------------------ */
/* Rules that hold for every message: returns why not, NULL when they hold. */
static const char *mail_wrong(struct span text)
{
    struct span line;
    bool head = true;
    int froms = 0, tos = 0, others = 0;
    static const char *const known[] = { "Date: ", "Subject: ", "Message-ID: ", "X-Cradle-Alarm: ", "Importance: ", "Auto-Submitted: ", "MIME-Version: ",
                                         "Content-Type: ", "Content-Transfer-Encoding: " };
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '\r' || text.p[i] == 0 || text.p[i] > 0x7e)
            return "a byte that is not plain";
    while (span_cut(&text, '\n', &line)) {
        bool ours = head && (line.n == 0 || line.p[0] == ' ');
        if (line.n > 998 || (!head && line.n > 76))
            return "a line is too long";
        if (!head && (span_starts(line, ".") || span_starts(line, "From ")))
            return "a line that a mailer would change";
        if (!head || !line.n) {
            head = head && line.n;
            continue;
        }
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            ours |= span_starts(line, known[i]);
        froms += span_starts(line, "From: ");
        tos += span_starts(line, "To: ");
        others += !ours && !span_starts(line, "From: ") && !span_starts(line, "To: ");
    }
    return head ? "no body" : froms != 1 || tos != 1 ? "not one sender and receiver" : others ? "a header that is not ours" : NULL;
}

static json_t *alarm_of(const char *text, const char *id, const char *device, const char *note)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:s,s:[s],s:i,s:[{s:i,s:i,s:s,s:s,s:s,s:{s:s}}]}", "id", id, "site", "plant", "rule", "r", "severity", "critical",
                     "at", "2026-11-20T22:57:00.000Z", "until", "2026-11-20T22:57:01.000Z", "count", 1, "text", text, "subjects", device, "subjects_more", 3,
                     "events", "slot", 1, "nseq", 7, "at", "2026-11-20T22:57:00.000Z", "kind", "device-state", "device", device, "payload", "note", note);
}

static void test_mail(void)
{
    static const char *const nasty[] = {
        "plain", "x\r\nBcc: thief@example.com", "x\nSubject: other\n\nbody", "\n.\nMAIL FROM:<x>", ".", "From me", "=?utf-8?B?QmNj?=", "\xc3\xa4\xe2\x80\xae\xf0\x9f\x94\xa5 fire",
        "\xe2\x80\xa8" "Bcc: x", "a,b;c<d@e>(f)\"g\"", "\x1b[31mred", "", " ", "=", "tail space \n", "long long long long long long long long long long long long long long long long long long long long long long long "
        "long long long long long long long long long long long long long long long long long long long long long long long long long long",
    };
    CLEANUP(buf_free) struct buf out = BUF_INIT(0), again = BUF_INIT(0);
    for (size_t i = 0; i < ARRAY_LEN(nasty); i++)
        for (int where = 0; where < 4; where++) {
            CLEANUP(json_decref_p) json_t *a = alarm_of(where == 0 ? nasty[i] : "t", where == 1 ? nasty[i] : "plant.r.1-7", where == 2 ? nasty[i] : "d",
                                                        where == 3 ? nasty[i] : "n");
            buf_reset(&out);
            enum err e = alarm_mail(&mail, a, &out);
            const char *why = e ? "refused" : mail_wrong(buf_span(&out));
            if (why)
                ok(false, "mail of case %zu in place %d: %s", i, where, why);
        }
    ok(true, "no text of others makes a header or a line of its own");
    CLEANUP(json_decref_p) json_t *a = alarm_of("stolen \xc3\xa4", "plant.r.1-7", "pump-1", "lost");
    buf_reset(&out);
    ok(!alarm_mail(&mail, a, &out) && !alarm_mail(&mail, a, &again) && span_eq(buf_span(&out), buf_span(&again)), "the same alarm, the same message");
    const char *text = buf_cstr(&out);
    ok(strstr(text, "Message-ID: <plant.r.1-7@example.com>\n") && strstr(text, "Date: Fri, 20 Nov 2026 22:57:01 +0000\n") &&
           strstr(text, "To: a@example.com,\n b@example.com\n") && strstr(text, "Subject: =?utf-8?B?") && strstr(text, "note=3Dlost"), "it has what it needs");
}

/* -- programs ---------------------------------------------------------------------------------------------------------------------------- */
static int sh(const char *script, const char *input, int64_t timeout_ms, char *said)
{
    char *const argv[] = { (char[]){ "/bin/sh" }, (char[]){ "-c" }, (char *)script, NULL };
    char *const env[] = { (char[]){ "PATH=/usr/bin:/bin" }, (char[]){ "ONE=1" }, NULL };
    return alarm_exec(argv, env, span_str(input), timeout_ms, said, 256);
}

static void test_exec(void)
{
    char said[256];
    ok(sh("read x; [ \"$x\" = hello ] || exit 9; exit 3", "hello\n", 5000, said) == 3, "input and exit code");
    ok(sh("echo noise; echo first >&2; printf 'last \\033[31m' >&2; exit 1", "", 5000, said) == 1 && strcmp(said, "last ?[31m") == 0, "the last line that it said: %s", said);
    setenv("SECRET_OF_OURS", "x", 1);
    ok(sh("[ -z \"$SECRET_OF_OURS\" ] && [ \"$ONE\" = 1 ] && [ \"$(pwd)\" = / ]", "", 5000, said) == 0, "an environment of its own");
    int leak = dup(1);
    char script[64];
    snprintf(script, sizeof script, "[ ! -e /proc/self/fd/%d ]", leak);
    ok(sh(script, "", 5000, said) == 0, "no descriptor of ours");
    close(leak);
    CLEANUP(buf_free) struct buf big = BUF_INIT(0);
    for (int i = 0; i < 40000; i++)
        buf_put_str(&big, "0123456789\n");
    ok(sh("exit 0", buf_cstr(&big), 5000, said) == 0, "a program that does not read its input");
    ok(sh("[ $(wc -c) = 440000 ]", buf_cstr(&big), 10000, said) == 0, "one that reads much");
    ok(sh("i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789 >&2; i=$((i + 1)); done", "", 20000, said) == 0, "one that says much");
    int64_t began = clock_mono_ms();
    ok(sh("trap '' TERM; sleep 30 & sleep 30", "", 300, said) == -1 && strstr(said, "did not end"), "one that hangs is ended: %s", said);
    ok(clock_mono_ms() - began < 10000, "in time");
    ok(sh("kill -9 $$", "", 5000, said) == 128 + SIGKILL, "one that is killed");
    char *const none[] = { (char[]){ "/nowhere/program" }, NULL }, *const env[] = { NULL };
    ok(alarm_exec(none, env, span_str(""), 1000, said, sizeof said) == 127 && strstr(said, "cannot be started"), "one that is not there");
}

static void test_secret(void)
{
    char path[] = "/tmp/cradle-secret-XXXXXX";
    int fd = mkstemp(path);
    struct fault f = { 0 };
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    ok(fd >= 0 && !file_write_atomic(path, SPAN_LIT("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), 0600) && !alarm_secret_read(path, &out, &f) && out.len == 24,
       "a secret is read");
    ok(!chmod(path, 0640) && alarm_secret_read(path, &out, &f) && strstr(f.text, "chmod 600"), "others must not read it: %s", f.text);
    buf_reset(&out);
    ok(!file_write_atomic(path, SPAN_LIT("c2hvcnQ=\n"), 0600) && alarm_secret_read(path, &out, &f) && strstr(f.text, "openssl rand"), "nor is a short one taken: %s", f.text);
    close(fd);
    unlink(path);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    test_hmac();
    test_outcomes();
    test_mail();
    test_exec();
    test_secret();
    return done();
}
