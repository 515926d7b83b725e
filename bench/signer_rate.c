/* signer_rate.c: signatures a second of the signer alone, one thread: whole requests in, whole answers out, each signature verified by
 * the signer itself before it leaves. No database, no sockets. Usage: signer_rate cert|ocsp [SECONDS]. Prints one line of JSON.
 */
#include "role/signer.h"
#include "t/unit/crypt_site.h"
#include "wire/msg.h"

enum { KEYS = 64, SHARDS = 16 };

static char dir[64];
static struct buf requests[KEYS];

static void cert_request(struct buf *out, int i)
{
    struct key *k;
    struct fault f = {0};
    char uid[32];
    uint8_t serial[ISSUE_SERIAL];
    site_must(key_generate("ec:P-256", &k, &f), &f, "key");
    site_must(issue_serial(serial), NULL, "serial");
    snprintf(uid, sizeof uid, "dev-%07d", i);
    int64_t now_s = clock_now_s();
    struct msg_sign_cert m = {.profile = SPAN_LIT("device"),
                              .ca = SPAN_LIT("device"),
                              .serial = span_of(serial, sizeof serial),
                              .spki = key_spki(k),
                              .uid = span_str(uid),
                              .dev_serial = SPAN_LIT("SN"),
                              .line = SPAN_LIT("pump"),
                              .not_before = now_s - 300,
                              .not_after = now_s + SITE_DAY};
    msg_pack(&msg_desc_sign_cert, &m, out);
    key_free(k);
}

static void ocsp_request(struct buf *out, int i)
{
    static const uint8_t head[] = {0x30, 0x43, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00};
    uint8_t serial[16] = {0x40, (uint8_t)i};
    struct ca ca;
    struct fault f = {0};
    CLEANUP(buf_free) struct buf item = BUF_INIT(0), id = BUF_INIT(0);
    site_must(ca_load(&ca, dir, "device", SITE_URL, SHARDS, NULL, &f), &f, "ca");
    buf_put_span(&id, span_of(head, sizeof head)); /* CertID, RFC 6960 4.1.1, with SHA-1 */
    buf_put(&id, (uint8_t[]){0x04, 20}, 2);
    buf_put(&id, ca.name_sha1, 20);
    buf_put(&id, (uint8_t[]){0x04, 20}, 2);
    buf_put(&id, ca.key_sha1, 20);
    buf_put(&id, (uint8_t[]){0x02, 16}, 2);
    buf_put(&id, serial, 16);
    id.data[1] = (uint8_t)(id.len - 2);
    struct msg_ocsp_item it = {.certid = buf_span(&id), .serial = span_of(serial, 16), .reason = -1};
    msg_pack(&msg_desc_ocsp_item, &it, &item);
    struct msg_sign_ocsp m = {
        .ca = SPAN_LIT("device"), .items = buf_span(&item), .this_update = clock_now_s(), .next_update = clock_now_s() + 300};
    msg_pack(&msg_desc_sign_ocsp, &m, out);
    ca_close(&ca);
}

int main(int argc, char **argv)
{
    bool ocsp = argc > 1 && strcmp(argv[1], "ocsp") == 0;
    double secs = argc > 2 ? atof(argv[2]) : 2;
    struct ca root;
    struct signer *signer;
    struct fault f = {0};
    struct buf out = BUF_INIT(0);
    site_make(dir, &root, SHARDS);
    struct signer_config sc = {.dir = dir, .base_url = SITE_URL, .n_shards = SHARDS};
    site_must(signer_open(&sc, &signer, &f), &f, "signer_open");
    for (int i = 0; i < KEYS; i++)
        (ocsp ? ocsp_request : cert_request)(&requests[i], i);
    int64_t n = 0, refused = 0, from = clock_mono_us(), end = from + (int64_t)(secs * 1e6);
    for (; clock_mono_us() < end; n++) {
        struct ipc_frame in = {ocsp ? MSG_SIGN_OCSP : MSG_SIGN_CERT, (uint64_t)n, buf_span(&requests[n % KEYS])}, answer;
        struct msg_signed m;
        buf_reset(&out);
        signer_handle(signer, &in, &out);
        struct span rest = buf_span(&out);
        site_must(ipc_frame_get(&rest, &answer), NULL, "frame");
        site_must(msg_unpack_all(&msg_desc_signed, answer.body, &m), NULL, "answer");
        if (m.code && !refused++)
            fprintf(stderr, "signer_rate: " SPAN_FMT "\n", SPAN_ARG(m.text));
    }
    printf("{\"bench\":\"signer_%s\",\"count\":%lld,\"refused\":%lld,\"per_s\":%.0f}\n", ocsp ? "ocsp" : "cert", (long long)n,
           (long long)refused, (double)n * 1e6 / (double)(clock_mono_us() - from));
    signer_close(signer);
    ca_close(&root);
    for (int i = 0; i < KEYS; i++)
        buf_free(&requests[i]);
    buf_free(&out);
    site_remove(dir);
    return refused != 0;
}
