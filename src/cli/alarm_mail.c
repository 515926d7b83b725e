/* alarm_mail.c: an alarm as a message by RFC 5322 and 2045. Pure: what strangers wrote (a note, a UID, a reason) is encoded, so that it
 * can make neither a header nor a line of its own. The same alarm gives the same bytes each time. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/alarm.h"
#include "cli/cli.h"

#define SUBJECT_MAX 180
#define LINE_MAX_QP 73

/* RFC 2047 words of at most 75 bytes, cut between characters. */
static void put_words(struct buf *out, struct span text)
{
    const char *sep = "";
    while (text.n) {
        size_t n = 0, one;
        while (n < text.n && (one = span_utf8_len(span_of(text.p + n, text.n - n))) > 0 && n + one <= 45)
            n += one;
        buf_printf(out, "%s=?utf-8?B?", sep);
        buf_put_base64(out, span_of(text.p, n ? n : 1), 0);
        buf_put_str(out, "?=");
        n = n ? n : 1;
        text = span_of(text.p + n, text.n - n);
        sep = "\n ";
    }
}

/* A header's text: as it is when it is short printable ASCII, else encoded. */
static void put_header(struct buf *out, const char *name, struct span text)
{
    bool plain = text.n <= 60 && !span_starts(text, "=?");
    for (size_t i = 0; i < text.n; i++)
        plain = plain && text.p[i] >= 0x20 && text.p[i] < 0x7f;
    buf_printf(out, "%s: ", name);
    if (plain)
        buf_put_span(out, text);
    else
        put_words(out, text);
    buf_put_u8(out, '\n');
}

/* Quoted-printable, RFC 2045 6.7: every line is at most 76 bytes, none begins with a dot or ends with white space. */
static void put_quoted(struct buf *out, struct span text)
{
    size_t col = 0;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t ch = text.p[i];
        if (ch == '\n') {
            buf_put_u8(out, '\n');
            col = 0;
            continue;
        }
        bool end = i + 1 == text.n || text.p[i + 1] == '\n';
        bool plain = ch >= 0x20 && ch < 0x7f && ch != '=' && !(ch == ' ' && end) && !(ch == '.' && !col) && !(ch == 'F' && !col);
        if (col + (plain ? 1 : 3) > LINE_MAX_QP) {
            buf_put_str(out, "=\n");
            col = 0;
            plain = plain && ch != '.' && ch != 'F';
        }
        if (plain)
            buf_put_u8(out, ch);
        else
            buf_printf(out, "=%02X", ch);
        col += plain ? 1 : 3;
    }
}

static void put_date(struct buf *out, const char *at)
{
    static const char *const days[] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" };
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    int64_t ms;
    struct clock_civil c;
    if (clock_parse_ms(span_str(at), &ms))
        ms = 0;
    clock_civil(ms / 1000, &c);
    buf_printf(out, "Date: %s, %02d %s %04d %02d:%02d:%02d +0000\n", days[ms / 86400000 % 7], c.day, months[c.month - 1], c.year, c.hour, c.min, c.sec);
}

static void put_to(struct buf *out, const char *list)
{
    struct span rest = span_str(list), to;
    const char *sep = "To: ";
    while (span_cut(&rest, ' ', &to)) {
        if (!to.n)
            continue;
        buf_printf(out, "%s" SPAN_FMT, sep, SPAN_ARG(to));
        sep = ",\n ";
    }
    buf_put_u8(out, '\n');
}

/* A line "Name: text" of the body; the text has no line breaks of its own. */
static void put_line(struct buf *b, const char *name, const char *text)
{
    buf_printf(b, "%-10s", name);
    cli_safe(b, text, 1000);
    buf_put_u8(b, '\n');
}

static void put_body(struct buf *out, const json_t *alarm)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    struct json_text t;
    size_t i;
    json_t *v;
    cli_safe(&b, json_path_str(alarm, "text", ""), 1000);
    buf_put_str(&b, "\n\n");
    static const char *const rows[][2] = {
        { "Site", "site" }, { "Rule", "rule" }, { "Severity", "severity" }, { "From", "at" }, { "Until", "until" }, { "Events", "count" }, { "Id", "id" },
    };
    for (size_t k = 0; k < ARRAY_LEN(rows); k++)
        put_line(&b, rows[k][0], json_path_text(alarm, rows[k][1], &t));
    json_array_foreach(json_object_get(alarm, "subjects"), i, v)
        put_line(&b, i ? "" : "About", json_string_value(v) ? json_string_value(v) : "");
    int64_t more = json_path_int(alarm, "subjects_more", 0);
    if (more > 0)
        buf_printf(&b, "%-10sand %lld more\n", "", (long long)more);
    json_array_foreach(json_object_get(alarm, "events"), i, v) {
        char place[64];
        snprintf(place, sizeof place, "%lld:%lld", (long long)json_path_int(v, "slot", 0), (long long)json_path_int(v, "nseq", 0));
        buf_printf(&b, "\n%s  %s  ", i ? "" : "The events, of which cradle event list shows more:\n\n", place);
        cli_safe(&b, json_path_str(v, "at", ""), 40);
        buf_put_str(&b, "  ");
        cli_safe(&b, json_path_str(v, "kind", ""), 48);
        buf_put_u8(&b, ' ');
        cli_safe(&b, json_path_str(v, "device", ""), 64);
        cli_event_members(v, &b);
    }
    buf_put_u8(&b, '\n');
    put_quoted(out, buf_span(&b));
}

enum err alarm_mail(const struct alarm_channel *ch, const json_t *alarm, struct buf *out)
{
    CLEANUP(buf_free) struct buf subject = BUF_INIT(0), id = BUF_INIT(0);
    buf_printf(&subject, "[cradle ");
    cli_safe(&subject, json_path_str(alarm, "site", "?"), LABEL_MAX);
    buf_printf(&subject, "] ");
    cli_safe(&subject, json_path_str(alarm, "severity", "?"), 16);
    buf_put_str(&subject, ": ");
    cli_safe(&subject, json_path_str(alarm, "text", "?"), SUBJECT_MAX);
    cli_safe(&id, json_path_str(alarm, "id", "?"), 240);
    for (size_t i = 0; i < id.len; i++) /* a local part of an id takes these alone */
        if (!memchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", id.data[i], 65))
            id.data[i] = '_';
    put_date(out, json_path_str(alarm, "until", ""));
    buf_printf(out, "From: %s\n", ch->cfg.from);
    put_to(out, ch->cfg.to);
    put_header(out, "Subject", buf_span(&subject));
    buf_printf(out, "Message-ID: <" SPAN_FMT "%s>\n", SPAN_ARG(buf_span(&id)), strchr(ch->cfg.from, '@'));
    buf_printf(out, "X-Cradle-Alarm: " SPAN_FMT "\n", SPAN_ARG(buf_span(&id)));
    if (strcmp(json_path_str(alarm, "severity", ""), "critical") == 0)
        buf_put_str(out, "Importance: high\n");
    buf_put_str(out, "Auto-Submitted: auto-generated\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
                     "Content-Transfer-Encoding: quoted-printable\n\n");
    put_body(out, alarm);
    return buf_err(out);
}
