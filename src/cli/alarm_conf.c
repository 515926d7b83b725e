/* alarm_conf.c: alarm.conf: keys of the service, then sections [rule NAME] and [channel NAME]. Pure but for alarm_conf_load. */
#include <errno.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/alarm.h"

const struct config_key alarm_head_table[] = {
#define CFG(...) CONFIG_ROW(alarm_head, __VA_ARGS__)
#include "cli/alarm.def"
#undef CFG
};
const struct config_key alarm_rule_table[] = {
#define CFG(...) CONFIG_ROW(alarm_rule_keys, __VA_ARGS__)
#include "cli/alarm_rule.def"
#undef CFG
};
const struct config_key alarm_channel_table[] = {
#define CFG(...) CONFIG_ROW(alarm_channel_keys, __VA_ARGS__)
#include "cli/alarm_channel.def"
#undef CFG
};
const size_t alarm_nhead_table = ARRAY_LEN(alarm_head_table), alarm_nrule_table = ARRAY_LEN(alarm_rule_table),
             alarm_nchannel_table = ARRAY_LEN(alarm_channel_table);

static const char *const severities[] = { [ALARM_INFO] = "info", [ALARM_WARNING] = "warning", [ALARM_CRITICAL] = "critical" };
static const char *const types[] = { [ALARM_WEBHOOK] = "webhook", [ALARM_MAIL] = "mail", [ALARM_COMMAND] = "command" };

const char *alarm_severity_name(enum alarm_severity s) { return severities[s]; }

int alarm_channel_find(const struct alarm_conf *c, const char *name)
{
    for (int i = 0; i < c->nchannels; i++)
        if (strcmp(c->channel[i].name, name) == 0)
            return i;
    return -1;
}

static int word_find(const char *const *words, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(words[i], word) == 0)
            return (int)i;
    return -1;
}

/* -- sections -------------------------------------------------------------------------------------------------------------------- */
struct section {
    bool head, rule; /* neither: a channel */
    struct span name, body;
    unsigned line;   /* of the body's first line */
};

/* "[rule NAME]": a line that opens a section. */
static bool section_opens(struct span line)
{
    line = span_trim(line);
    return line.n && line.p[0] == '[';
}

static enum err section_title(struct span line, const char *name, unsigned no, struct section *s, struct fault *f)
{
    struct span rest = span_trim(line), kind;
    struct fault inner = { 0 };
    if (rest.p[rest.n - 1] != ']')
        return fault_set(f, CE_BAD_CONFIG, "%s:%u: a section is [rule NAME] or [channel NAME]", name, no);
    rest = span_trim(span_of(rest.p + 1, rest.n - 2));
    if (!span_cut(&rest, ' ', &kind) || (!span_eq_str(kind, "rule") && !span_eq_str(kind, "channel")))
        return fault_set(f, CE_BAD_CONFIG, "%s:%u: a section is [rule NAME] or [channel NAME]", name, no);
    *s = (struct section){ .rule = span_eq_str(kind, "rule"), .name = span_trim(rest), .line = no + 1 };
    if (name_check_label(s->rule ? "rule" : "channel", s->name, &inner))
        return fault_set(f, CE_BAD_CONFIG, "%s:%u: %s", name, no, inner.text);
    return CE_OK;
}

/* Cuts the next section's body off *rest: the lines up to the next title, which *title then is (empty: the end). */
static void section_body(struct span *rest, unsigned *no, struct section *s, struct span *title)
{
    struct span line, whole = *rest;
    *title = (struct span){ 0 };
    s->body = whole;
    while (!title->n && span_cut(rest, '\n', &line)) {
        ++*no;
        if (section_opens(line)) {
            *title = line;
            s->body.n = (size_t)(line.p - whole.p);
        }
    }
}

/* -- what the keys mean together ---------------------------------------------------------------------------------------------------- */
static enum err channels_resolve(const struct alarm_conf *c, const char *list, const char *who, uint32_t *bits, struct fault *f)
{
    struct span rest = span_str(list), word;
    char name[LABEL_MAX + 1];
    *bits = 0;
    while (span_cut(&rest, ' ', &word)) {
        if (!word.n)
            continue;
        bool all = span_eq_str(word, "*");
        int i = all || span_to_cstr(word, name, sizeof name) ? -1 : alarm_channel_find(c, name);
        if (!all && i < 0)
            return fault_set(f, CE_BAD_CONFIG, "%s: there is no [channel %.*s]", who, (int)(word.n < 48 ? word.n : 48), (const char *)word.p);
        *bits |= all ? (1u << c->nchannels) - 1 : 1u << i;
    }
    return *bits ? CE_OK : fault_set(f, CE_BAD_CONFIG, "%s: names no channel", who);
}

static enum err rule_resolve(const struct alarm_conf *c, struct alarm_rule *r, struct fault *f)
{
    struct span rest = span_str(r->cfg.kinds), kind, by = span_str(r->cfg.by), sum = span_str(r->cfg.sum);
    char who[LABEL_MAX + 16];
    int severity = word_find(severities, ARRAY_LEN(severities), r->cfg.severity);
    snprintf(who, sizeof who, "[rule %s]", r->name);
    if (!span_trim(rest).n)
        return fault_set(f, CE_BAD_CONFIG, "%s: kinds is missing", who);
    while (span_cut(&rest, ' ', &kind))
        if (kind.n && !span_eq_str(kind, "*") && !alarm_kind_known(kind))
            return fault_set(f, CE_BAD_CONFIG, "%s: there is no kind of event '%.*s'", who, (int)(kind.n < 48 ? kind.n : 48), (const char *)kind.p);
    if (by.n && !alarm_field_known(span_str(r->cfg.kinds), by, false))
        return fault_set(f, CE_BAD_CONFIG, "%s: by: these events have no field '%s'", who, r->cfg.by);
    if (sum.n && !alarm_field_known(span_str(r->cfg.kinds), sum, true))
        return fault_set(f, CE_BAD_CONFIG, "%s: sum: these events have no field '%s' that is a number", who, r->cfg.sum);
    if (severity < 0)
        return fault_set(f, CE_BAD_CONFIG, "%s: severity must be info, warning or critical", who);
    r->severity = (enum alarm_severity)severity;
    enum err e = alarm_when_parse(r, f);
    return e ? e : channels_resolve(c, r->cfg.channels, who, &r->channels, f);
}

/* An address that needs no quoting anywhere: neither a header nor an argument can be made of it. */
static bool address_good(struct span a)
{
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.!#$%&'*+/=?^_`{|}~-";
    struct span local, domain = a;
    if (!memchr(a.p, '@', a.n) || a.p[0] == '-' || !span_cut(&domain, '@', &local) || !local.n || local.n > 64 || !domain.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (a.p + i != domain.p - 1 && !memchr(safe, a.p[i], sizeof safe - 1))
            return false;
    return true;
}

static enum err mail_resolve(const struct alarm_channel *ch, const char *who, struct fault *f)
{
    struct span rest = span_str(ch->cfg.to), to;
    int n = 0;
    if (!ch->cfg.from[0] || !address_good(span_str(ch->cfg.from)))
        return fault_set(f, CE_BAD_CONFIG, "%s: from must be an address such as cradle@example.com", who);
    while (span_cut(&rest, ' ', &to)) {
        if (to.n && !address_good(to))
            return fault_set(f, CE_BAD_CONFIG, "%s: to: '%.*s' is not an address", who, (int)(to.n < 80 ? to.n : 80), (const char *)to.p);
        n += to.n > 0;
    }
    if (!n)
        return fault_set(f, CE_BAD_CONFIG, "%s: to is missing", who);
    return ch->cfg.sendmail[0] == '/' ? CE_OK : fault_set(f, CE_BAD_CONFIG, "%s: sendmail must be a path from / on", who);
}

static enum err channel_resolve(struct alarm_channel *ch, struct fault *f)
{
    char who[LABEL_MAX + 16], base[NET_URL_MAX];
    const char *path;
    struct fault inner = { 0 };
    int type = word_find(types, ARRAY_LEN(types), ch->cfg.type);
    snprintf(who, sizeof who, "[channel %s]", ch->name);
    if (type < 0)
        return fault_set(f, CE_BAD_CONFIG, "%s: type must be webhook, mail or command", who);
    ch->type = (enum alarm_type)type;
    if (ch->type == ALARM_MAIL)
        return mail_resolve(ch, who, f);
    if (ch->type == ALARM_COMMAND)
        return ch->cfg.command[0] == '/' ? CE_OK : fault_set(f, CE_BAD_CONFIG, "%s: command must begin with the path of a program, from / on", who);
    if (alarm_url_cut(ch->cfg.url, base, sizeof base, &path, &inner))
        return fault_set(f, CE_BAD_CONFIG, "%s: %s", who, inner.text);
    return !ch->cfg.cert[0] == !ch->cfg.key[0] ? CE_OK : fault_set(f, CE_BAD_CONFIG, "%s: cert and key go together", who);
}

static enum err conf_resolve(const char *name, struct alarm_conf *c, struct fault *f)
{
    struct fault inner = { 0 };
    enum err e = name_check_label("name", span_str(c->head.name), &inner);
    if (!e && !c->nchannels)
        e = fault_set(&inner, CE_BAD_CONFIG, "there is no [channel NAME]: nobody would be told");
    for (int i = 0; !e && i < c->nchannels; i++)
        e = channel_resolve(&c->channel[i], &inner);
    for (int i = 0; !e && i < c->nrules; i++)
        e = rule_resolve(c, &c->rule[i], &inner);
    if (!e)
        e = channels_resolve(c, c->head.self_channels, "self_channels", &c->self_channels, &inner);
    return e ? fault_set(f, CE_BAD_CONFIG, "%s: %s", name, inner.text) : CE_OK;
}

/* -- the file ------------------------------------------------------------------------------------------------------------------------ */
static enum err rule_section(const char *name, const struct section *s, struct alarm_conf *c, struct fault *f)
{
    struct alarm_rule *r = &c->rule[c->nrules];
    if (c->nrules == ALARM_RULES_MAX)
        return fault_set(f, CE_BAD_CONFIG, "%s:%u: more than %d rules", name, s->line - 1, ALARM_RULES_MAX);
    *r = (struct alarm_rule){ 0 };
    for (int i = 0; i < c->nrules; i++)
        if (span_eq_str(s->name, c->rule[i].name))
            return fault_set(f, CE_BAD_CONFIG, "%s:%u: [rule %s] is there a second time", name, s->line - 1, c->rule[i].name);
    if (span_eq_str(s->name, "self") || span_eq_str(s->name, "test"))
        return fault_set(f, CE_BAD_CONFIG, "%s:%u: the names self and test belong to this service's own alarms", name, s->line - 1);
    c->nrules++;
    enum err e = span_to_cstr(s->name, r->name, sizeof r->name);
    return e ? e : config_parse_part(alarm_rule_table, alarm_nrule_table, name, s->line, s->body, &r->cfg, f);
}

static enum err channel_section(const char *name, const struct section *s, struct alarm_conf *c, struct fault *f)
{
    struct alarm_channel *ch = &c->channel[c->nchannels];
    if (c->nchannels == ALARM_CHANNELS_MAX)
        return fault_set(f, CE_BAD_CONFIG, "%s:%u: more than %d channels", name, s->line - 1, ALARM_CHANNELS_MAX);
    *ch = (struct alarm_channel){ 0 };
    enum err e = span_to_cstr(s->name, ch->name, sizeof ch->name);
    if (!e && alarm_channel_find(c, ch->name) >= 0)
        return fault_set(f, CE_BAD_CONFIG, "%s:%u: [channel %s] is there a second time", name, s->line - 1, ch->name);
    c->nchannels++;
    return e ? e : config_parse_part(alarm_channel_table, alarm_nchannel_table, name, s->line, s->body, &ch->cfg, f);
}

enum err alarm_conf_parse(const char *name, struct span text, struct alarm_conf *c, struct fault *f)
{
    struct section s = { .head = true, .line = 1 };
    struct span title;
    unsigned no = 0;
    c->nrules = c->nchannels = 0;
    for (;;) {
        section_body(&text, &no, &s, &title);
        enum err e = s.head   ? config_parse_part(alarm_head_table, alarm_nhead_table, name, 1, s.body, &c->head, f)
                     : s.rule ? rule_section(name, &s, c, f)
                              : channel_section(name, &s, c, f);
        if (!e && title.n)
            e = section_title(title, name, no, &s, f);
        if (e || !title.n)
            return e ? e : conf_resolve(name, c, f);
    }
}

enum err alarm_conf_load(const char *path, struct alarm_conf *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(1 << 20);
    enum err e = file_read(path, &text);
    if (e)
        return fault_set(f, e, "%s: cannot be read: %s", path, strerror(errno));
    return alarm_conf_parse(path, buf_span(&text), out, f);
}

void alarm_conf_dump(const struct alarm_conf *c, bool with_doc, struct buf *out)
{
    config_dump(alarm_head_table, alarm_nhead_table, &c->head, with_doc, out);
    for (int i = 0; i < c->nchannels; i++) {
        buf_printf(out, "\n[channel %s]\n", c->channel[i].name);
        config_dump(alarm_channel_table, alarm_nchannel_table, &c->channel[i].cfg, with_doc, out);
    }
    for (int i = 0; i < c->nrules; i++) {
        buf_printf(out, "\n[rule %s]\n", c->rule[i].name);
        config_dump(alarm_rule_table, alarm_nrule_table, &c->rule[i].cfg, with_doc, out);
    }
}
