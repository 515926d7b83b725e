/* est_load.c: a load client over kept-alive mutual TLS: registers or enrolls COUNT devices PREFIX-0 … over CONNECTIONS connections and
 * prints one line of JSON: requests per second and latencies. It makes every device's key and request, and opens every connection,
 * before the clock starts.
 * usage: est_load URL CA CERT KEY PREFIX COUNT CONNECTIONS [DIR]   URL: …/simpleenroll, or …/api/v1/devices to register (model "bench")
 * DIR: each enrolled device is kept there as PREFIX-N.pem, certificate and key (for mqttload)
 */
#include <curl/curl.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cradle/dev.h"

#define ANSWER_KEPT 4096

struct slot {
    CURL *easy;
    int device;
    int64_t began_us;
    size_t answer; /* bytes */
    char body[ANSWER_KEPT]; /* the first of them */
};

struct load {
    const char *prefix, *dir; /* dir NULL: nothing is kept */
    bool registers; /* not enrolls */
    bool warming;   /* opening the connections, with what anybody may ask */
    int count, next, finished, failed;
    char (*body)[1024];
    EVP_PKEY **key; /* with dir */
    int64_t *latency_us;
};

static int load_sha256(void *ctx, const void *data, size_t n, uint8_t out[32])
{
    (void)ctx;
    return EVP_Digest(data, n, out, NULL, EVP_sha256(), NULL) != 1;
}

static int load_sign(void *ctx, const uint8_t digest[32], uint8_t *sig, size_t *sig_len)
{
    EVP_PKEY_CTX *pc = EVP_PKEY_CTX_new(ctx, NULL);
    int bad = EVP_PKEY_sign_init(pc) != 1 || EVP_PKEY_sign(pc, sig, sig_len, digest, 32) != 1;
    EVP_PKEY_CTX_free(pc);
    return bad;
}

static void device_make(struct load *l, int i)
{
    snprintf(l->body[i], sizeof l->body[i], "{\"uid\":\"%s-%d\",\"serial\":\"SN%d\",\"model\":\"bench\",\"batch\":\"2026-47\"}", l->prefix,
             i, i);
}

static void csr_make(struct load *l, int i)
{
    struct cradle_port port = {.ctx = EVP_EC_gen("P-256"), .sha256 = load_sha256, .sign = load_sign};
    char uid[CRADLE_UID_MAX + 1];
    uint8_t csr[CRADLE_CSR_MAX];
    size_t n = sizeof csr, len = sizeof l->body[i] - 1, point;
    EVP_PKEY_get_octet_string_param(port.ctx, OSSL_PKEY_PARAM_PUB_KEY, port.point, sizeof port.point, &point);
    snprintf(uid, sizeof uid, "%.40s-%d", l->prefix, i);
    struct cradle_name name = {.uid = uid};
    INVARIANT(cradle_csr_make(&port, &name, csr, &n) == CRADLE_OK);
    INVARIANT(cradle_est_body(csr, n, l->body[i], &len) == CRADLE_OK);
    l->body[i][len] = 0;
    if (l->dir)
        l->key[i] = port.ctx;
    else
        EVP_PKEY_free(port.ctx);
}

static size_t on_answer(char *data, size_t size, size_t n, void *arg)
{
    struct slot *s = arg;
    if (s->answer + size * n <= sizeof s->body)
        memcpy(s->body + s->answer, data, size * n);
    s->answer += size * n;
    return size * n;
}

static bool slot_next(struct load *l, struct slot *s)
{
    if (l->next >= l->count)
        return false;
    s->device = l->next++;
    s->answer = 0;
    s->began_us = clock_mono_us();
    if (l->warming)
        curl_easy_setopt(s->easy, CURLOPT_HTTPGET, 1L);
    else
        curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, l->body[s->device]);
    return true;
}

static void device_keep(struct load *l, struct slot *s)
{
    char path[PATH_MAX_LEN];
    const uint8_t *der;
    size_t n;
    INVARIANT(s->answer <= sizeof s->body && cradle_est_answer(s->body, s->answer, &der, &n) == CRADLE_OK);
    path_join(path, "%s/%s-%d.pem", l->dir, l->prefix, s->device);
    FILE *f = fopen(path, "w");
    INVARIANT(f && PEM_write(f, "CERTIFICATE", "", der, (long)n) > 0 && PEM_write_PrivateKey(f, l->key[s->device], NULL, NULL, 0, NULL, NULL) == 1);
    fclose(f);
    EVP_PKEY_free(l->key[s->device]);
}

static void slot_done(struct load *l, struct slot *s, CURLcode rc)
{
    long status = 0;
    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    l->latency_us[l->finished++] = clock_mono_us() - s->began_us;
    if (rc != CURLE_OK || (!l->warming && (status != (l->registers ? 201 : 200) || s->answer < (l->registers ? 1 : 300)))) {
        if (l->failed++ == 0)
            fprintf(stderr, "est_load: first failure: %s, HTTP %ld\n", curl_easy_strerror(rc), status);
    } else if (l->dir && !l->warming) {
        device_keep(l, s);
    }
}

static void slot_open(struct slot *s, char **argv, struct curl_slist *headers)
{
    s->easy = curl_easy_init();
    curl_easy_setopt(s->easy, CURLOPT_URL, argv[1]);
    curl_easy_setopt(s->easy, CURLOPT_CAINFO, argv[2]);
    curl_easy_setopt(s->easy, CURLOPT_SSLCERT, argv[3]);
    curl_easy_setopt(s->easy, CURLOPT_SSLKEY, argv[4]);
    curl_easy_setopt(s->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s);
    curl_easy_setopt(s->easy, CURLOPT_TIMEOUT_MS, 60000L);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void load_run(struct load *l, CURLM *multi, struct slot *slots, int nslots)
{
    int running = 1, left;
    for (int i = 0; i < nslots; i++)
        if (slot_next(l, &slots[i]))
            curl_multi_add_handle(multi, slots[i].easy);
    while (running || l->finished < l->count) {
        curl_multi_perform(multi, &running);
        CURLMsg *m;
        while ((m = curl_multi_info_read(multi, &left))) {
            struct slot *s;
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &s);
            slot_done(l, s, m->data.result);
            curl_multi_remove_handle(multi, s->easy);
            if (slot_next(l, s))
                curl_multi_add_handle(multi, s->easy);
        }
        if (l->finished >= l->count)
            break;
        curl_multi_poll(multi, NULL, 0, 100, NULL);
    }
}

/* One request on each connection: its method and path do not matter, the answer may be a refusal. */
static void connections_open(struct load *l, CURLM *multi, struct slot *slots, int nslots)
{
    int count = l->count;
    l->warming = true;
    l->count = nslots < count ? nslots : count;
    load_run(l, multi, slots, nslots);
    INVARIANT(l->failed == 0);
    l->count = count;
    l->warming = false;
    l->next = l->finished = 0;
}

int main(int argc, char **argv)
{
    if (argc < 8 || argc > 9 || atoi(argv[6]) < 1 || atoi(argv[7]) < 1) {
        fprintf(stderr, "usage: est_load URL CA CERT KEY PREFIX COUNT CONNECTIONS\n");
        return 2;
    }
    struct load l = {.prefix = argv[5], .count = atoi(argv[6]), .registers = !strstr(argv[1], "/est/"), .dir = argv[8]};
    int nslots = atoi(argv[7]);
    l.body = mem_calloc((size_t)l.count, sizeof *l.body);
    l.key = mem_calloc((size_t)l.count, sizeof *l.key);
    l.latency_us = mem_calloc((size_t)l.count, sizeof *l.latency_us);
    struct slot *slots = mem_calloc((size_t)nslots, sizeof *slots);
    for (int i = 0; i < l.count; i++)
        (l.registers ? device_make : csr_make)(&l, i);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct curl_slist *headers =
        curl_slist_append(NULL, l.registers ? "Content-Type: application/json" : "Content-Type: application/pkcs10");
    for (int i = 0; i < nslots; i++)
        slot_open(&slots[i], argv, headers);
    CURLM *multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)nslots);
    connections_open(&l, multi, slots, nslots);
    int64_t began_us = clock_mono_us();
    load_run(&l, multi, slots, nslots);
    double took_s = (double)(clock_mono_us() - began_us) / 1e6;
    qsort(l.latency_us, (size_t)l.finished, sizeof *l.latency_us, by_value);
    printf("{\"bench\":\"est_load\",\"count\":%d,\"connections\":%d,\"failed\":%d,\"per_s\":%.0f,\"p50_ms\":%.2f,\"p99_ms\":%.2f}\n",
           l.count, nslots, l.failed, l.finished / took_s, (double)l.latency_us[l.finished / 2] / 1e3,
           (double)l.latency_us[l.finished * 99 / 100] / 1e3);
    for (int i = 0; i < nslots; i++)
        curl_easy_cleanup(slots[i].easy);
    curl_multi_cleanup(multi);
    curl_slist_free_all(headers);
    curl_global_cleanup();
    mem_free_p(&l.body);
    mem_free_p(&l.key);
    mem_free_p(&l.latency_us);
    mem_free_p(&slots);
    return l.failed != 0;
}
