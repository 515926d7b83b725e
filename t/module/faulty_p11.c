/* faulty_p11.c: a PKCS#11 module for tests that stands before a real one ($FAULTY_P11_MODULE) and does what the file $FAULTY_P11_CONTROL
 * says, read at every call: words "slow_ms=N" (signatures last so long), "lost" (no token is there), "gone=LABEL" (this token is not), "drop=N" (each new N makes all
 * sessions void), "fail=N" (each new N makes one signature fail), "serial" (it cannot lock), "die-before", "die-after" (the process is
 * killed before or after a key pair is made). What each login came to is appended to the file $FAULTY_P11_LOGINS, a number a line. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "token/abi.h"

ck_rv C_GetFunctionList(struct ck_functions **out);

#define HANDLES 512
static const struct ck_functions *real;
static struct ck_functions mine;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { ck_ulong handle, slot; long drop; } handles[HANDLES];
static size_t nhandles;
static long failed, in_call, most_in_call;

static void control(char text[256])
{
    const char *path = getenv("FAULTY_P11_CONTROL");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = fd >= 0 ? read(fd, text, 255) : 0;
    text[n > 0 ? n : 0] = 0;
    if (fd >= 0)
        close(fd);
}

static long number(const char *name)
{
    char text[256];
    control(text);
    const char *at = strstr(text, name);
    return at ? strtol(at + strlen(name), NULL, 10) : 0;
}

static int says(const char *word)
{
    char text[256];
    control(text);
    return strstr(text, word) != NULL;
}

static int is_lost(void) { return says("lost"); }

/* "lost", or "gone" and the label of the token in this slot. */
static int is_away(ck_ulong slot)
{
    char text[256];
    struct ck_token_info info;
    if (is_lost())
        return 1;
    control(text);
    const char *at = strstr(text, "gone=");
    size_t n = at ? strcspn(at + 5, " \n") : 0;
    return n && n < sizeof info.label && real->get_token_info(slot, &info) == CKR_OK_ && memcmp(info.label, at + 5, n) == 0 && info.label[n] == ' ';
}

static int is_session_away(ck_ulong session)
{
    ck_ulong slot = 0;
    int known = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < nhandles; i++)
        if (handles[i].handle == session) {
            slot = handles[i].slot;
            known = 1;
        }
    pthread_mutex_unlock(&lock);
    return is_lost() || (known && is_away(slot));
}

static int is_void(ck_ulong session)
{
    long drop = number("drop=");
    int bad = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < nhandles; i++)
        if (handles[i].handle == session)
            bad = handles[i].drop != drop;
    pthread_mutex_unlock(&lock);
    return bad;
}

static ck_rv w_initialize(void *args)
{
    return says("serial") && args ? (ck_rv)CKR_CANT_LOCK_ : real->initialize(args);
}

static ck_rv w_slots(unsigned char with_token, ck_ulong *slots, ck_ulong *count)
{
    ck_rv rv = real->get_slot_list(with_token, slots, count);
    ck_ulong n = 0;
    for (ck_ulong i = 0; rv == CKR_OK_ && slots && i < *count; i++)
        if (!is_away(slots[i]))
            slots[n++] = slots[i];
    if (slots || is_lost())
        *count = n;
    return rv;
}

static ck_rv w_open(ck_ulong slot, ck_ulong flags, void *app, void *notify, ck_ulong *session)
{
    if (is_away(slot))
        return CKR_TOKEN_NOT_PRESENT_;
    ck_rv rv = real->open_session(slot, flags, app, notify, session);
    pthread_mutex_lock(&lock);
    size_t i = 0;
    while (rv == CKR_OK_ && i < nhandles && handles[i].handle != *session)
        i++;
    if (rv == CKR_OK_ && i < HANDLES) {
        handles[i].handle = *session;
        handles[i].slot = slot;
        handles[i].drop = number("drop=");
        nhandles += i == nhandles;
    }
    pthread_mutex_unlock(&lock);
    return rv;
}

static ck_rv w_find_init(ck_ulong session, struct ck_attribute *t, ck_ulong count)
{
    return is_session_away(session) ? (ck_rv)CKR_DEVICE_REMOVED_ : is_void(session) ? (ck_rv)CKR_SESSION_HANDLE_INVALID_ : real->find_init(session, t, count);
}

static ck_rv w_login(ck_ulong session, ck_ulong user, const unsigned char *pin, ck_ulong len)
{
    ck_rv rv = real->login(session, user, pin, len);
    const char *path = getenv("FAULTY_P11_LOGINS");
    FILE *out = path ? fopen(path, "a") : NULL;
    if (out)
        fprintf(out, "%lu\n", rv), fclose(out);
    return rv;
}

static ck_rv w_destroy(ck_ulong session, ck_ulong object) { return is_session_away(session) ? (ck_rv)CKR_DEVICE_REMOVED_ : real->destroy(session, object); }

static ck_rv w_generate(ck_ulong session, struct ck_mechanism *m, struct ck_attribute *pub, ck_ulong npub, struct ck_attribute *priv, ck_ulong npriv,
                        ck_ulong *pub_out, ck_ulong *priv_out)
{
    if (says("die-before"))
        raise(SIGKILL);
    ck_rv rv = is_session_away(session) ? (ck_rv)CKR_DEVICE_REMOVED_ : real->generate_pair(session, m, pub, npub, priv, npriv, pub_out, priv_out);
    if (says("die-after"))
        raise(SIGKILL);
    return rv;
}

static ck_rv w_sign_init(ck_ulong session, struct ck_mechanism *m, ck_ulong key)
{
    if (is_session_away(session))
        return CKR_DEVICE_REMOVED_;
    return is_void(session) ? (ck_rv)CKR_SESSION_HANDLE_INVALID_ : real->sign_init(session, m, key);
}

static ck_rv w_sign(ck_ulong session, const unsigned char *data, ck_ulong len, unsigned char *sig, ck_ulong *sig_len)
{
    long ms = number("slow_ms="), fail = number("fail=");
    struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };
    pthread_mutex_lock(&lock);
    int now = fail && fail != failed;
    failed = fail;
    in_call++;
    most_in_call = in_call > most_in_call ? in_call : most_in_call;
    pthread_mutex_unlock(&lock);
    nanosleep(&ts, NULL);
    ck_rv rv = real->sign(session, data, len, sig, sig_len);
    pthread_mutex_lock(&lock);
    in_call--;
    pthread_mutex_unlock(&lock);
    return now ? (ck_rv)CKR_DEVICE_ERROR_ : rv;
}

/* For the test that has loaded this: how many signatures were made at the same time at most. */
long faulty_most(void);
long faulty_most(void) { return most_in_call; }

ck_rv C_GetFunctionList(struct ck_functions **out)
{
    const char *path = getenv("FAULTY_P11_MODULE");
    void *dl = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    ck_rv (*list)(struct ck_functions **) = NULL;
    struct ck_functions *got = NULL;
    if (!dl)
        return CKR_GENERAL_ERROR_;
    *(void **)&list = dlsym(dl, "C_GetFunctionList");
    if (!list || list(&got) != CKR_OK_)
        return CKR_GENERAL_ERROR_;
    real = got;
    mine = *got;
    mine.initialize = w_initialize;
    mine.get_slot_list = w_slots;
    mine.open_session = w_open;
    mine.login = w_login;
    mine.find_init = w_find_init;
    mine.destroy = w_destroy;
    mine.generate_pair = w_generate;
    mine.sign_init = w_sign_init;
    mine.sign = w_sign;
    *out = &mine;
    return CKR_OK_;
}
