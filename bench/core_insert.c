/* core_insert.c: durable registrations per second in process: 64 clients, each with one device_add in flight; latency from the
 * request's entry to its answer (which comes after the commit). Arguments: registrations, clients, anything for scattered UIDs.
 * Prints one line for bench/run. Not a load test of HTTP. */
#include "t/unit/core_site.h"

#define CLIENTS_MAX 1024
static struct site s;
static int64_t asked_us[CLIENTS_MAX], *lat;
static size_t answered, failed, total = 60000;
static int clients = 64;
static uint64_t next_uid;
static bool scattered;  /* UIDs in no order, as hashes are; else ascending, as labels are */

static void ask(int client)
{
    char uid[40];
    snprintf(uid, sizeof uid, "dev-%08llx", scattered ? (next_uid * 0x9e3779b97f4a7c15ull) >> 32 : (unsigned long long)next_uid);
    next_uid++;
    struct msg_caller c = site_caller(&s, 2);
    const struct msg_device_add m = { .uid = span_str(uid), .serial = span_str(uid + 4), .model = SPAN_LIT("m1"), .batch = SPAN_LIT("b1") };
    s.rid = (uint64_t)client - 1;
    asked_us[client] = clock_mono_us();
    site_queue(&s, &c, &msg_desc_device_add, &m);
}

static void on_reply(void *ctx, int peer, uint64_t rid, const struct msg_reply *r)
{
    (void)ctx; (void)peer;
    failed += r->code != CE_OK;
    lat[answered++] = clock_mono_us() - asked_us[rid];
}

static int cmp(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    struct fault f = { 0 };
    log_setup("bench", LOG_LEVEL_ERROR);
    if (argc > 1)
        total = (size_t)atol(argv[1]);
    clients = argc > 2 && atoi(argv[2]) > 0 && atoi(argv[2]) <= CLIENTS_MAX ? atoi(argv[2]) : 64;
    scattered = argc > 3;
    site_new(&s);
    site_must(site_open(&s, &f), "open", &f);
    site_ask(&s, 0, &msg_desc_line_add, &(struct msg_line_add){ .name = SPAN_LIT("pump") });
    site_ask(&s, 0, &msg_desc_model_add, &(struct msg_model_add){ .name = SPAN_LIT("m1"), .line = SPAN_LIT("pump") });
    site_close(&s);
    s.ports.reply = on_reply;
    lat = calloc(total + CLIENTS_MAX, sizeof *lat);
    site_must(site_open(&s, &f), "open", &f);
    int64_t from = clock_mono_us();
    for (size_t sent = 0; answered < total;) {
        size_t had = answered;
        for (int c = 0; c < clients && sent < total && sent - answered < (size_t)clients; c++, sent++)
            ask(c);
        site_must(core_step(s.core, &f), "step", &f);
        if (core_next_wake_ms(s.core, clock_mono_ms()) <= clock_mono_ms())
            site_must(core_tick(s.core, clock_mono_ms(), &f), "tick", &f);
        if (answered == had && !core_has_work(s.core))
            break;
    }
    double secs = (double)(clock_mono_us() - from) / 1e6;
    qsort(lat, answered, sizeof *lat, cmp);
    printf("durable device registrations, %s UIDs, %d waiting clients: %.0f/s, p50 %.2f ms, p99 %.2f ms, max %.2f ms, %zu failed\n", scattered ? "scattered" : "ascending", clients,
           (double)answered / secs, (double)lat[answered / 2] / 1e3, (double)lat[answered * 99 / 100] / 1e3, (double)lat[answered - 1] / 1e3, failed);
    site_close(&s);
    site_remove(&s);
    free(lat);
    return failed != 0;
}
