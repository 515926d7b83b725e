/* snapmake.c: makes revocation snapshots and frames as include/cradle/snapshot.h describes them, with OpenSSL alone: a second
 * implementation of the format, used to feed consumers good and bad ones. Shares no code with src/.
 *
 * usage: snapmake key FILE                         a stream key (32-byte seed, hex); prints the public key in base64
 *        snapmake snapshot FILE DIR VECTOR [ENTRY…] DIR/revocation.snap by rename, DIR/revocation.tail anew
 *        snapmake frame FILE DIR PREV VECTOR [ENTRY…]  appends to DIR/revocation.tail
 *        snapmake raw-snapshot|raw-frame …          the same bytes on stdout
 *        snapmake raw-policy DOCUMENT                a policy document (a file) as the stream carries it, on stdout
 * ENTRY: [-]cert:AKIHEX:SERIALHEX | [-]ident:UID | [-]line:NAME | [-]repair:UID | [-]policy:DOCUMENT   ("-": taken out, frames only)
 * DOCUMENT is a file; it is also stored as DIR/policy.KEY, as cradle-edge does. A snapshot without one names
 * the document of a site with one line, "default".
 * environment: SNAPMAKE_BAD=1 spoils the signature, SNAPMAKE_AGE_MS=N dates it back.
 */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <cradle/snapshot.h>

static unsigned char out[1 << 21];
static size_t len;
static struct entry { unsigned char set, op, key[SNAPSHOT_KEY]; } entries[4096];
static int n_entries;

static void die(const char *why) { fprintf(stderr, "snapmake: %s\n", why); exit(1); }
static void put(const void *p, size_t n)
{
    if (len + n > sizeof out)
        die("too large");
    memcpy(out + len, p, n);
    len += n;
}
static void put_int(unsigned long long v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--) {
        unsigned char b = (unsigned char)(v >> (8 * i));
        put(&b, 1);
    }
}
static void put_text(const char *s) { put_int(strlen(s), 2); put(s, strlen(s)); }

static unsigned long long at_ms(void)
{
    struct timeval tv;
    const char *age = getenv("SNAPMAKE_AGE_MS");
    gettimeofday(&tv, NULL);
    return (unsigned long long)tv.tv_sec * 1000 + (unsigned long long)tv.tv_usec / 1000 - (age ? strtoull(age, NULL, 10) : 0);
}

static EVP_PKEY *key_load(const char *path)
{
    unsigned char seed[32];
    FILE *f = fopen(path, "r");
    if (!f)
        die("no key file");
    for (int i = 0; i < 32; i++) {
        unsigned v;
        if (fscanf(f, "%2x", &v) != 1)
            die("bad key file");
        seed[i] = (unsigned char)v;
    }
    fclose(f);
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
}

static void key_make(const char *path)
{
    unsigned char seed[32], pub[32], text[64];
    size_t n = sizeof pub;
    FILE *f = fopen(path, "w");
    if (!f || RAND_bytes(seed, 32) != 1)
        die("cannot make the key");
    for (int i = 0; i < 32; i++)
        fprintf(f, "%02x", seed[i]);
    fclose(f);
    EVP_PKEY *k = key_load(path);
    EVP_PKEY_get_raw_public_key(k, pub, &n);
    EVP_EncodeBlock(text, pub, 32);
    printf("%s\n", text);
    EVP_PKEY_free(k);
}

static void sign(const char *keyfile)
{
    EVP_PKEY *k = key_load(keyfile);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    unsigned char sig[64];
    size_t n = sizeof sig;
    if (EVP_DigestSignInit(c, NULL, NULL, NULL, k) != 1 || EVP_DigestSign(c, sig, &n, out, len) != 1)
        die("cannot sign");
    if (getenv("SNAPMAKE_BAD"))
        sig[5] ^= 1;
    put(sig, 64);
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(k);
}

static void write_file(const char *dir, const char *name, const void *p, size_t n, const char *mode, int by_rename)
{
    char path[600], tmp[620];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(tmp, sizeof tmp, "%s%s", path, by_rename ? ".new" : "");
    FILE *f = fopen(tmp, mode);
    if (!f || fwrite(p, 1, n, f) != n || fclose(f) || (by_rename && rename(tmp, path)))
        die("cannot write");
}

static const char default_policy[] = "cradle-policy 1\nline default alarm\n w d/%u/up/#\n r d/%u/down/#\n q d/%u/repair/#\n";
static unsigned char doc[SNAPSHOT_POLICY_MAX];
static size_t doc_read(const char *path)
{
    if (!*path) {
        memcpy(doc, default_policy, sizeof default_policy - 1);
        return sizeof default_policy - 1;
    }
    FILE *f = fopen(path, "r");
    if (!f)
        die("no policy document");
    size_t n = fread(doc, 1, sizeof doc, f);
    fclose(f);
    return n;
}

/* Its key; where dir is given, the document goes there too. */
static void policy_key(const char *path, const char *dir, unsigned char *key)
{
    static unsigned char in[6 + sizeof doc];
    unsigned char md[32];
    char name[60] = "policy.";
    size_t n = doc_read(path);
    memcpy(in, "policy", 6);
    memcpy(in + 6, doc, n);
    SHA256(in, 6 + n, md);
    memcpy(key, md, SNAPSHOT_KEY);
    for (int i = 0; i < SNAPSHOT_KEY; i++)
        snprintf(name + 7 + 2 * i, 3, "%02x", key[i]);
    if (dir)
        write_file(dir, name, doc, n, "wb", 1);
}

static size_t unhex(const char *s, size_t n, unsigned char *to)
{
    for (size_t i = 0; i < n / 2; i++) {
        unsigned v;
        if (sscanf(s + 2 * i, "%2x", &v) != 1)
            die("bad hex");
        to[i] = (unsigned char)v;
    }
    return n / 2;
}

static void entry_add(const char *text, const char *dir)
{
    struct entry *e = &entries[n_entries++];
    unsigned char in[300], md[32];
    size_t n = 0;
    e->op = SNAPSHOT_OP_ADD;
    if (*text == '-') {
        e->op = SNAPSHOT_OP_DEL;
        text++;
    }
    if (!strncmp(text, "cert:", 5)) {
        const char *serial = strchr(text + 5, ':');
        e->set = SNAPSHOT_SET_CERT;
        memcpy(in, "cert", 4);
        if (!serial)
            die("cert:AKI:SERIAL");
        n = 4 + unhex(text + 5, (size_t)(serial - text - 5), in + 4);
        n += unhex(serial + 1, strlen(serial + 1), in + n);
    } else if (!strncmp(text, "ident:", 6)) {
        e->set = SNAPSHOT_SET_IDENT;
        n = (size_t)snprintf((char *)in, sizeof in, "uid%s", text + 6);
    } else if (!strncmp(text, "line:", 5)) {
        e->set = SNAPSHOT_SET_LINE;
        n = (size_t)snprintf((char *)in, sizeof in, "line%s", text + 5);
    } else if (!strncmp(text, "repair:", 7)) {
        e->set = SNAPSHOT_SET_REPAIR;
        n = (size_t)snprintf((char *)in, sizeof in, "uid%s", text + 7);
    } else if (!strncmp(text, "policy:", 7)) {
        e->set = SNAPSHOT_SET_POLICY;
        policy_key(text + 7, e->op == SNAPSHOT_OP_ADD ? dir : NULL, e->key);
        return;
    } else {
        die("entry?");
    }
    SHA256(in, n, md);
    memcpy(e->key, md, SNAPSHOT_KEY);
}

static int entry_cmp(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->set != y->set ? x->set - y->set : memcmp(x->key, y->key, SNAPSHOT_KEY);
}

static void snapshot_make(const char *keyfile, const char *vector)
{
    unsigned char body[sizeof entries], md[32];
    size_t n = 0;
    int count[SNAPSHOT_SETS + 1] = { 0 };
    qsort(entries, (size_t)n_entries, sizeof entries[0], entry_cmp);
    for (int i = 0; i < n_entries; i++, n += SNAPSHOT_KEY) {
        memcpy(body + n, entries[i].key, SNAPSHOT_KEY);
        count[entries[i].set]++;
    }
    SHA256(body, n, md);
    put(SNAPSHOT_MAGIC, 8);
    put_int(at_ms(), 8);
    for (int s = SNAPSHOT_SET_CERT; s <= SNAPSHOT_SETS; s++)
        put_int((unsigned long long)count[s], 4);
    put(md, 32);
    put_text(vector);
    sign(keyfile);
    put(body, n);
}

static void frame_make(const char *keyfile, const char *prev, const char *vector)
{
    size_t total = 4 + 4 + 8 + 2 + strlen(prev) + 2 + strlen(vector) + 2 + (size_t)n_entries * SNAPSHOT_ENTRY + SNAPSHOT_SIG;
    put(SNAPSHOT_FRAME_MAGIC, 4);
    put_int(total, 4);
    put_int(at_ms(), 8);
    put_text(prev);
    put_text(vector);
    put_int((unsigned long long)n_entries, 2);
    for (int i = 0; i < n_entries; i++)
        put(&entries[i], SNAPSHOT_ENTRY);
    sign(keyfile);
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "key")) {
        key_make(argv[2]);
        return 0;
    }
    if (argc == 3 && !strcmp(argv[1], "raw-policy")) {
        size_t n = doc_read(argv[2]);
        put(SNAPSHOT_POLICY_MAGIC, 4);
        put_int(8 + n, 4);
        put(doc, n);
        return fwrite(out, 1, len, stdout) != len;
    }
    if (argc < 5)
        die("usage: see the top of snapmake.c");
    int frame = strstr(argv[1], "frame") != NULL, raw = !strncmp(argv[1], "raw-", 4);
    for (int i = frame ? 6 : 5; i < argc; i++)
        entry_add(argv[i], raw ? NULL : argv[3]);
    int named = 0;
    for (int i = 0; i < n_entries; i++)
        named |= entries[i].set == SNAPSHOT_SET_POLICY;
    if (!frame && !named)
        entry_add("policy:", raw ? NULL : argv[3]);
    if (frame)
        frame_make(argv[2], argv[4], argc > 5 ? argv[5] : "");
    else
        snapshot_make(argv[2], argv[4]);
    if (raw)
        return fwrite(out, 1, len, stdout) != len;
    if (frame) {
        write_file(argv[3], "revocation.tail", out, len, "ab", 0);
    } else {
        unsigned char md[32];
        size_t vlen = strlen(argv[4]);
        SHA256(out, SNAPSHOT_FIXED + 2 + vlen + SNAPSHOT_SIG, md);
        write_file(argv[3], "revocation.snap", out, len, "wb", 1);
        write_file(argv[3], "revocation.tail", md, 32, "wb", 1);
    }
    return 0;
}
