/* token.c (unit): PKCS#11 URIs (RFC 7512), and keys in SoftHSM through a module that stands before it and fails as told: every algorithm,
 * session loss, a token that is removed and comes back, a wrong PIN, several sessions at once. */
#include "t/tap.h"

#include <dlfcn.h>
#include <ftw.h>
#include <glob.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypt/der.h"
#include "crypt/hash.h"
#include "token/key_file.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#else
static void __lsan_disable(void) {}
static void __lsan_enable(void) {}
#endif

static char dir[64] = "/tmp/cradle-token-XXXXXX", module[PATH_MAX_LEN], control[PATH_MAX_LEN];

/* -- URIs --------------------------------------------------------------------------------------------------------------------- */
static void uri(const char *text, enum err want, const char *what)
{
    struct pkcs11_uri u;
    struct fault f = { 0 };
    enum err e = pkcs11_uri_parse(span_str(text), "default", &u, &f);
    ok(e == want && (!e || f.text[0]), "URI: %s%s%s", what, e ? ": " : "", f.text);
}

static void test_uri(void)
{
    struct pkcs11_uri u;
    struct fault f = { 0 };
    enum err e = pkcs11_uri_parse(SPAN_LIT("pkcs11:token=My%20HSM;object=root;id=%01%ff?module-path=/m.so&pin-source=file:/p"), NULL, &u, &f);
    ok(e == CE_OK && strcmp(u.token, "My HSM") == 0 && strcmp(u.object, "root") == 0 && strcmp(u.module, "/m.so") == 0 &&
       strcmp(u.pin_source, "/p") == 0 && u.id_len == 2 && u.id[1] == 0xff, "URI: label, id, module, PIN file");
    e = pkcs11_uri_parse(SPAN_LIT("pkcs11:serial=7;slot-id=18446744?module-path=/lib&module-name=m&pin-source=file:///p"), "d", &u, &f);
    ok(e == CE_OK && u.has_slot && u.slot == 18446744 && strcmp(u.module, "/lib/m.so") == 0 && strcmp(u.object, "d") == 0 && strcmp(u.pin_source, "/p") == 0,
       "URI: serial, slot, folder and name of the module, default label");
    uri("pkcs11:token=a;type=private;library-version=3;model=m;manufacturer=x?module-name=softhsm2", CE_OK, "no pin-source, a module by name");
    uri("pkcs11:token=a?module-path=/m&pin-value=1234", CE_USAGE, "a PIN in the URI");
    uri("pkcs11:object=a?module-path=/m&pin-source=/p", CE_USAGE, "no token");
    uri("pkcs11:token=a?pin-source=/p", CE_USAGE, "no module");
    uri("pkcs11:token=a?module-path=/m&pin-source=", CE_USAGE, "an empty file name");
    uri("pkcs11:token=a?module-path=/m&pin-source=%7Ccat", CE_USAGE, "a command for the PIN");
    uri("pkcs11:token=a?module-path=m.so", CE_USAGE, "a module that is looked for anywhere");
    uri("pkcs11:token=a?module-name=..%2fm", CE_USAGE, "a module's name with a folder");
    uri("pkcs11:token=a;token=b?module-path=/m", CE_USAGE, "an attribute twice");
    uri("pkcs11:token=a;type=cert?module-path=/m", CE_USAGE, "a certificate");
    uri("pkcs11:token=a;slot-id=x?module-path=/m", CE_USAGE, "a slot that is no number");
    uri("pkcs11:token=a;x-mine=1?module-path=/m", CE_USAGE, "an unknown attribute");
    uri("pkcs11:token=a;pin-source=/p?module-path=/m", CE_USAGE, "an attribute of the query in the path");
    uri("pkcs11:token?module-path=/m", CE_USAGE, "an attribute without a value");
    uri("pkcs11:", CE_USAGE, "nothing in it");
    uri("http:token=a", CE_USAGE, "another scheme");
    uri("pkcs11:token=%00a?module-path=/m", CE_USAGE, "a NUL");
    uri("pkcs11:token=%4?module-path=/m", CE_USAGE, "half an escape");
    uri("pkcs11:token=012345678901234567890123456789012?module-path=/m", CE_USAGE, "a label of 33 bytes");
}

static void relabel(const char *text, const char *label, const char *want, const char *what)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(512);
    struct pkcs11_uri a, b;
    struct fault f = { 0 };
    enum err e = pkcs11_uri_relabel(span_str(text), label, &out);
    ok(e == CE_OK && strcmp(buf_cstr(&out), want) == 0, "URI: another label: %s: %s", what, buf_cstr(&out));
    e = pkcs11_uri_parse(span_str(text), "d", &a, &f);
    e = e ? e : pkcs11_uri_parse(buf_span(&out), NULL, &b, &f);
    ok(e == CE_OK && pkcs11_uri_same_token(&a, &b) && strcmp(b.object, label) == 0, "URI: it reads as the same token and that label %s", f.text);
}

static void test_relabel(void)
{
    CLEANUP(buf_free) struct buf small = BUF_INIT(40);
    relabel("pkcs11:token=a?module-path=/m", "k-1", "pkcs11:token=a;object=k-1?module-path=/m", "there was none");
    relabel(" pkcs11:object=old;token=a;type=private?module-path=/m&pin-source=/p", "new", "pkcs11:token=a;type=private;object=new?module-path=/m&pin-source=/p", "in the place of one");
    relabel("pkcs11:token=My%20t;;object=x%3by;?module-path=/m;n", "a b;c=%?&\xc3\xa9", "pkcs11:token=My%20t;object=a%20b%3Bc%3D%25%3F%26%C3%A9?module-path=/m;n", "what has a meaning is encoded");
    ok(pkcs11_uri_relabel(SPAN_LIT("token=a"), "x", &small) == CE_USAGE && !small.len, "URI: another label: no URI");
    ok(pkcs11_uri_relabel(SPAN_LIT("pkcs11:token=a?module-path=/a/long/path"), "x", &small) != CE_OK, "URI: another label: no room");
}

/* -- the token -------------------------------------------------------------------------------------------------------------------- */
static void put(const char *name, const char *text, mode_t mode)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s", dir, name);
    FILE *out = fopen(path, "w");
    if (!out || fputs(text, out) < 0 || fclose(out) || chmod(path, mode))
        abort();
}

static void tell(const char *words) { put("control", words, 0600); }

static void set_up(void)
{
    char text[1024], conf[PATH_MAX_LEN];
    glob_t g = { 0 };
    if (!mkdtemp(dir) || glob("/usr/lib/*/softhsm/libsofthsm2.so", 0, NULL, &g) || readlink("/proc/self/exe", module, sizeof module - 32) < 0)
        abort();
    snprintf(strrchr(module, '/'), 32, "/faulty_p11.so");
    setenv("FAULTY_P11_MODULE", g.gl_pathv[0], 1);
    globfree(&g);
    path_join(control, "%s/control", dir);
    setenv("FAULTY_P11_CONTROL", control, 1);
    path_join(conf, "%s/softhsm.conf", dir);
    setenv("SOFTHSM2_CONF", conf, 1);
    snprintf(text, sizeof text, "directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\n", dir);
    put("softhsm.conf", text, 0600);
    put("pin", "654321\n", 0600);
    put("badpin", "111111\n", 0600);
    tell("");
    path_join(conf, "%s/tokens", dir);
    mkdir(conf, 0700);
    path_join(conf, "%s/keys", dir);
    mkdir(conf, 0700);
    ok(system("softhsm2-util --init-token --free --label one --so-pin 12345678 --pin 654321 >/dev/null") == 0, "a SoftHSM token");
    ok(system("softhsm2-util --init-token --free --label two --so-pin 12345678 --pin 654321 >/dev/null") == 0, "another one");
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static const char *uri_in(const char *label, const char *pin)
{
    static char text[PKCS11_URI_MAX];
    snprintf(text, sizeof text, "pkcs11:token=%s?module-path=%s&pin-source=%s/%s", label, module, dir, pin);
    return text;
}
static const char *uri_of(const char *pin) { return uri_in("one", pin); }

static bool signs(struct key *k)
{
    CLEANUP(buf_free) struct buf sig = BUF_INIT(4096);
    return key_sign(k, SPAN_LIT("message"), &sig) == CE_OK && spki_verify(key_spki(k), key_sig_alg(k), SPAN_LIT("message"), buf_span(&sig)) == CE_OK;
}

static void test_algorithms(void)
{
    static const char *const algs[] = { "ec:P-256", "ec:P-384", "rsa:3072", "ed25519" };
    for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
        if (i == 3)
            __lsan_disable(); /* SoftHSM 2.6.1 loses a few bytes with each Ed25519 key */
        CLEANUP(key_free_p) struct key *key = NULL;
        CLEANUP(key_free_p) struct key *again = NULL;
        struct fault f = { 0 };
        struct token_info info = { .label = "" };
        char name[16];
        snprintf(name, sizeof name, "key%zu", i);
        enum err e = key_make_at(dir, name, algs[i], uri_of("pin"), name, &key, &info, &f);
        ok(e == CE_OK && signs(key), "%s: a key made in the token signs %s", algs[i], f.text);
        ok(strcmp(info.label, "one") == 0 && info.serial[0] && strstr(info.manufacturer, "SoftHSM"), "%s: where it is: %s %s", algs[i], info.manufacturer, info.serial);
        key_free_p(&key);
        e = key_open_at(dir, name, &again, &f);
        ok(e == CE_OK && signs(again), "%s: found again by its file %s", algs[i], f.text);
        e = key_make_at(dir, name, algs[i], NULL, NULL, &key, NULL, &f);
        ok(e == CE_EXISTS, "%s: no second key of this name: %s", algs[i], f.text);
    }
    CLEANUP(key_free_p) struct key *key = NULL;
    struct fault f = { 0 };
    ok(key_make_at(dir, "no", "ml-dsa-65", uri_of("pin"), "no", &key, NULL, &f) == CE_KEY_ALG && !key, "an algorithm that tokens do not have: %s", f.text);
    ok(key_make_at(dir, "no", "ec:P-256", uri_of("badpin"), "no", &key, NULL, &f) == CE_CRYPTO && strstr(f.text, "PIN is wrong"), "a wrong PIN: %s", f.text);
    ok(!key_is_in_token(dir, "no"), "and no file is left");
}

/* -- losing it ---------------------------------------------------------------------------------------------------------------------- */
static void test_loss(void)
{
    struct fault f = { 0 };
    struct pkcs11_uri u;
    struct token *t = NULL;
    const struct token_options stay = { .stay = true, .need_pin = true };
    CLEANUP(key_free_p) struct key *key = NULL;
    CLEANUP(buf_free) struct buf sig = BUF_INIT(4096);
    ok(key_uri_read(dir, "key0", &u, &f) == CE_OK && token_new(&u, &stay, &t, &f) == CE_OK && token_connect(t, &f) == CE_OK, "connected %s", f.text);
    struct token_session *s = token_session_new(t);
    ok(token_key_open(s, &u, NULL, &key, &f) == CE_OK && signs(key), "it signs %s", f.text);
    tell("drop=1");
    ok(signs(key) && !token_is_lost(t), "sessions that the token forgot are opened again, quietly");
    tell("drop=1 fail=1");
    ok(signs(key) && !token_is_lost(t), "one failure of the device is tried again");
    tell("drop=1 fail=1 lost");
    ok(key_sign(key, SPAN_LIT("x"), &sig) == CE_TOKEN_LOST && token_is_lost(t), "removed: the token counts as lost");
    ok(key_sign(key, SPAN_LIT("x"), &sig) == CE_TOKEN_LOST && token_retry(t, &f) == CE_NOT_FOUND, "and stays so: %s", f.text);
    tell("drop=2 fail=1");
    ok(key_sign(key, SPAN_LIT("x"), &sig) == CE_TOKEN_LOST, "back, nobody has looked yet");
    ok(token_retry(t, &f) == CE_OK && signs(key), "found again, the same key signs %s", f.text);
    put("pin", "111111\n", 0600);
    tell("drop=3 fail=1");
    ok(signs(key), "the PIN is the one that was read at the start");
    put("pin", "654321\n", 0600);
    key_free_p(&key);
    token_session_free(s);
    token_free(t);
}

/* Two tokens of one module: what is done to find one again must not take the other away. */
static void test_neighbour(void)
{
    struct fault f = { 0 };
    const struct token_options stay = { .stay = true, .need_pin = true };
    const char *const names[] = { "one", "two" };
    struct pkcs11_uri u[2];
    struct token *t[2] = { NULL, NULL };
    struct token_session *s[2] = { NULL, NULL };
    struct key *key[2] = { NULL, NULL };
    CLEANUP(buf_free) struct buf sig = BUF_INIT(4096);
    enum err e = CE_OK;
    tell("");
    for (int i = 0; i < 2 && !e; i++) {
        e = pkcs11_uri_parse(span_str(uri_in(names[i], "pin")), "neighbour", &u[i], &f);
        e = e ? e : token_new(&u[i], &stay, &t[i], &f);
        e = e ? e : token_connect(t[i], &f);
        s[i] = e ? NULL : token_session_new(t[i]);
        e = e ? e : token_key_open(s[i], &u[i], "ec:P-256", &key[i], &f);
    }
    ok(!e && signs(key[0]) && signs(key[1]), "two tokens of one module sign %s", f.text);
    tell("gone=one");
    ok(key_sign(key[0], SPAN_LIT("x"), &sig) == CE_TOKEN_LOST && token_is_lost(t[0]), "one is removed");
    ok(!token_is_lost(t[1]) && signs(key[1]), "the other one signs on");
    ok(token_retry(t[0], &f) == CE_NOT_FOUND && !token_is_lost(t[1]) && signs(key[1]), "also while the first is looked for: %s", f.text);
    tell("");
    ok(token_retry(t[0], &f) == CE_OK && signs(key[0]) && signs(key[1]), "until it is back %s", f.text);
    tell("lost");
    ok(key_sign(key[0], SPAN_LIT("x"), &sig) == CE_TOKEN_LOST && token_retry(t[0], &f) == CE_NOT_FOUND && token_is_lost(t[1]), "when none answers, the module begins anew");
    tell("");
    ok(token_retry(t[0], &f) == CE_OK && token_retry(t[1], &f) == CE_OK && signs(key[0]) && signs(key[1]), "and found again, each by itself %s", f.text);
    for (int i = 0; i < 2; i++) {
        key_free(key[i]);
        token_session_free(s[i]);
        token_free(t[i]);
    }
}

/* -- digests, and destroying ------------------------------------------------------------------------------------------------------ */
static bool digest_good(struct token_key *k, const uint8_t point[65])
{
    static const uint8_t head[] = { 0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3, 0x42, 0 };
    CLEANUP(buf_free) struct buf spki = BUF_INIT(128), sig = BUF_INIT(128);
    uint8_t digest[32], raw[64];
    struct fault f = { 0 };
    sha256(SPAN_LIT("message"), digest);
    if (token_digest_sign(k, digest, raw, &f))
        return false;
    buf_put_span(&spki, span_of(head, sizeof head));
    buf_put_span(&spki, span_of(point, 65));
    size_t at = der_begin(&sig, DER_SEQUENCE);
    der_put_uint(&sig, span_of(raw, 32));
    der_put_uint(&sig, span_of(raw + 32, 32));
    der_end(&sig, at);
    return spki_verify(buf_span(&spki), SIG_ECDSA_SHA256, SPAN_LIT("message"), buf_span(&sig)) == CE_OK;
}

static struct token *connect_to(const char *pin, struct pkcs11_uri *u, const char *label, enum err want)
{
    const struct token_options stay = { .stay = true, .need_pin = true };
    struct token *t = NULL;
    struct fault f = { 0 };
    if (pkcs11_uri_parse(span_str(uri_of(pin)), label, u, &f) || token_new(u, &stay, &t, &f) || token_connect(t, &f) != want)
        ok(0, "connected: %s", f.text);
    return t;
}

static void test_digest(void)
{
    struct fault f = { 0 };
    struct pkcs11_uri u, half;
    struct token_key *k = NULL, *again = NULL;
    uint8_t point[65], same[65], digest[32] = { 1 }, raw[64];
    struct token *t = connect_to("pin", &u, "device", CE_OK);
    struct token_session *s = token_session_new(t);
    ok(token_digest_open(s, &u, false, &k, point, &f) == CE_NOT_FOUND, "digests: no such pair: %s", f.text);
    ok(token_digest_open(s, &u, true, &k, point, &f) == CE_OK && point[0] == 4 && digest_good(k, point), "digests: a pair is made and signs one");
    ok(token_digest_open(s, &u, true, &again, same, &f) == CE_OK && memcmp(point, same, 65) == 0, "digests: one that is there is not made again");
    tell("drop=21");
    ok(digest_good(k, point) && digest_good(again, point), "digests: sessions that the token forgot are opened again");
    token_digest_close(again);
    tell("drop=22 lost");
    ok(token_digest_sign(k, digest, raw, &f) == CE_TOKEN_LOST && token_is_lost(t), "digests: the token is away: %s", f.text);
    tell("drop=22");
    ok(token_retry(t, &f) == CE_OK && digest_good(k, point), "digests: and back");
    tell("drop=23 lost"); /* gone, and only a new key notices */
    ok(token_digest_open(s, &u, false, &again, same, &f) == CE_TOKEN_LOST && token_is_lost(t), "digests: the search for a key sees it too: %s", f.text);
    tell("drop=23");
    ok(token_retry(t, &f) == CE_OK && digest_good(k, point), "digests: found again %s", f.text);
    ok(pkcs11_uri_parse(span_str(uri_of("pin")), "key1", &half, &f) == CE_OK && token_digest_open(s, &half, false, &again, same, &f) == CE_KEY_ALG, "digests: a key on P-384: %s", f.text);
    ok(token_key_destroy(s, &u, &f) == CE_OK && token_digest_sign(k, digest, raw, &f) != CE_OK, "destroyed, it signs nothing: %s", f.text);
    ok(token_digest_open(s, &u, false, &again, same, &f) == CE_NOT_FOUND && token_key_destroy(s, &u, &f) == CE_OK, "it is gone, and destroying it once more is no error");
    token_digest_close(k);
    token_session_free(s);
    token_free(t);
    t = connect_to("badpin", &u, "device", CE_CRYPTO);
    ok(token_pin_refused(t) && token_retry(t, &f) == CE_CRYPTO && strstr(f.text, "not tried again"), "a PIN that was refused is not tried again: %s", f.text);
    token_free(t);
}

/* -- several at once ------------------------------------------------------------------------------------------------------------------ */
static void *sign_some(void *arg)
{
    CLEANUP(buf_free) struct buf sig = BUF_INIT(4096);
    for (int i = 0; i < 3; i++)
        if (key_sign(arg, SPAN_LIT("message"), &sig))
            return NULL;
    return arg;
}

#define THREADS 4
static long at_once(void)
{
    void *dl = dlopen(module, RTLD_NOW | RTLD_NOLOAD);
    long (*most)(void) = NULL;
    *(void **)&most = dl ? dlsym(dl, "faulty_most") : NULL;
    long n = most ? most() : -1;
    if (dl)
        dlclose(dl);
    return n;
}

static void test_sessions(bool serial)
{
    struct fault f = { 0 };
    struct pkcs11_uri u;
    struct token *t = NULL;
    const struct token_options stay = { .stay = true, .need_pin = true };
    struct token_session *s[THREADS];
    struct key *key[THREADS] = { 0 };
    pthread_t thread[THREADS];
    tell(serial ? "slow_ms=20 serial" : "slow_ms=60");
    bool good = key_uri_read(dir, "key0", &u, &f) == CE_OK && token_new(&u, &stay, &t, &f) == CE_OK && token_connect(t, &f) == CE_OK;
    for (int i = 0; good && i < THREADS; i++) {
        s[i] = token_session_new(t);
        good = token_key_open(s[i], &u, NULL, &key[i], &f) == CE_OK && pthread_create(&thread[i], NULL, sign_some, key[i]) == 0;
    }
    ok(good, "%d sessions%s %s", THREADS, serial ? " of a module that cannot lock" : "", f.text);
    if (!serial) /* while they sign: sessions become void */
        tell("slow_ms=60 drop=9");
    for (int i = 0; good && i < THREADS; i++) {
        void *result = NULL;
        good = pthread_join(thread[i], &result) == 0 && result;
        ok(good && signs(key[i]), "session %d signs", i);
    }
    long most = at_once();
    ok(serial ? most == 1 : most > 1, "%ld signatures at the same time", most);
    for (int i = 0; i < THREADS; i++) {
        key_free(key[i]);
        token_session_free(s[i]);
    }
    token_free(t);
    tell("");
}

int main(void)
{
    test_uri();
    test_relabel();
    set_up();
    test_algorithms();
    __lsan_enable();
    test_loss();
    test_neighbour();
    test_digest();
    test_sessions(true);
    test_sessions(false);
    nftw(dir, remove_one, 16, FTW_PHYS | FTW_DEPTH);
    return done();
}
