/* secret.c: see secret.h. */
#include "cli/secret.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>

#include "base/file.h"
#include "base/mem.h"

static enum err secret_check(const char *s, struct fault *f)
{
    if (strlen(s) < SECRET_MIN)
        return fault_set(f, CE_USAGE, "the passphrase must have at least %d characters", SECRET_MIN);
    return CE_OK;
}

static enum err secret_file(const char *path, char *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(4096);
    struct fault why;
    enum err e = file_read_private(path, &text, &why);
    if (e)
        return fault_set(f, e == CE_BAD_CONFIG ? CE_USAGE : e, "the passphrase file: %s", why.text);
    struct span rest = buf_span(&text), line = { 0 };
    span_cut(&rest, '\n', &line);
    while (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (span_to_cstr(line, out, SECRET_MAX))
        return fault_set(f, CE_USAGE, "the first line of %s is not a passphrase: it is too long or holds a NUL byte", path);
    return CE_OK;
}

static bool read_hidden(FILE *tty, const char *prompt, char *out, size_t cap)
{
    struct termios was, now;
    int fd = fileno(tty);
    if (tcgetattr(fd, &was))
        return false;
    now = was;
    now.c_lflag &= ~(tcflag_t)ECHO;
    fputs(prompt, tty);
    fflush(tty);
    tcsetattr(fd, TCSAFLUSH, &now);
    bool got = fgets(out, (int)cap, tty) != NULL;
    tcsetattr(fd, TCSAFLUSH, &was);
    fputc('\n', tty);
    out[strcspn(out, "\r\n")] = 0;
    return got;
}

/* token_options.ask_pin */
static enum err pin_terminal(void *ctx, const char *token, char *out, struct fault *f)
{
    char prompt[64];
    (void)ctx;
    FILE *tty = fopen("/dev/tty", "r+e");
    if (!tty)
        return fault_set(f, CE_USAGE, "no terminal to ask for the PIN of the token on; give pin-source=FILE in the URI");
    setvbuf(tty, NULL, _IONBF, 0);
    snprintf(prompt, sizeof prompt, "PIN of the token %.32s: ", token);
    bool got = read_hidden(tty, prompt, out, TOKEN_PIN_MAX);
    fclose(tty);
    return got ? CE_OK : fault_set(f, CE_USAGE, "no PIN was given; nothing was made");
}

enum err secret_token_key(const char *uri, const char *alg, struct key **out, struct token_info *where, struct fault *f)
{
    const struct token_options o = { .ask_pin = pin_terminal };
    return token_key_make(uri, "cradle-root", alg, &o, out, where, f);
}

static enum err secret_terminal(bool is_new, char *out, struct fault *f)
{
    FILE *tty = fopen("/dev/tty", "r+e");
    if (!tty)
        return fault_set(f, CE_USAGE, "no terminal to ask for a passphrase on; give --passphrase-file");
    setvbuf(tty, NULL, _IONBF, 0);
    char again[SECRET_MAX];
    bool got = read_hidden(tty, "Passphrase of the key: ", out, SECRET_MAX);
    bool same = true;
    if (got && is_new) {
        got = read_hidden(tty, "The same again: ", again, sizeof again);
        same = got && strcmp(out, again) == 0;
        mem_zero(again, sizeof again);
    }
    fclose(tty);
    if (!got)
        return fault_set(f, CE_USAGE, "no passphrase was given; nothing was made");
    return same ? CE_OK : fault_set(f, CE_USAGE, "the two passphrases differ; nothing was made");
}

enum err secret_read(const char *path, bool is_new, char *out, struct fault *f)
{
    enum err e = path ? secret_file(path, out, f) : secret_terminal(is_new, out, f);
    return !e && is_new ? secret_check(out, f) : e;
}
