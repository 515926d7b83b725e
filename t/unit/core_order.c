/* core_order.c: orders to single devices: directives by the real signer, polls, reports in every order, what runs, and that the events say it all. */
#include "t/unit/order_site.h"

static struct site s;
static struct who station, a, b;
static const struct site_release r7 = { "r7", "1.7.0", "m-pump\n", NULL, 4 }, r8 = { "r8", "1.8.0", "m-pump\n", NULL, 5 },
                                 other = { "rv", "2.0", "m-valve\n", NULL, 1 };

static const struct msg_reply *order(const char *uid, const char *release)
{
    const struct msg_device_order m = { .uid = span_str(uid), .release = span_str(release) };
    return site_do(&s, &s.admin, &msg_desc_device_order, &m);
}

static void idle(void)
{
    json_t *j = site_poll_as(&s, &a, "1.6.0", 0);
    ok(word_is(j, "state", "idle"), "a device without an order is idle");
    ok(word_is(j, "action", "none"), "with nothing to do");
    ok(json_number(json_object_get(j, "metadata"), "line") == 1 && json_is_null(json_object_get(j, "directive")), "and learns the versions of the metadata");
    json_decref(j);
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'firmware-running' AND device = 'dev-a'") == 1, "what it runs is recorded");
    json_decref(site_poll_as(&s, &a, "1.6.0", 0));
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'firmware-running'") == 1, "once");
    const struct msg_update_poll raw = { .raw = 1 };
    ok(reply_is(site_do(&s, &a, &msg_desc_update_poll, &raw), CE_NOT_FOUND), "there is no directive");
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_update_poll, &raw), CE_ROLE_FORBIDDEN), "and a person has none");
}

static void ordered(void)
{
    struct arena arena = { 0 };
    struct directive d;
    uint8_t digest[32];
    ok(reply_is(order("dev-a", "none"), CE_NOT_FOUND), "a release that nobody signed cannot be ordered");
    ok(reply_is(order("dev-a", "rv"), CE_BAD_FIELD), "nor one for another model");
    ok(reply_is(order("dev-a", "r7"), CE_OK), "a release is ordered");
    json_t *j = site_poll(&s, &a);
    ok(word_is(j, "state", "ready"), "the next poll brings it");
    ok(poll_directive(j, &arena, &d) && d.action == DIRECTIVE_INSTALL && d.sequence == 1 && span_eq_str(d.device, "dev-a") && span_eq_str(d.release, "r7") &&
           span_eq(d.spki, span_of(a.cert.spki_sha256, 32)) && d.counter_floor == 0 && d.n_approvals == 1,
       "its directive names the device, its key and the release");
    ok(strncmp(json_word(json_object_get(j, "artifact"), "url"), "/update/v1/artifact/", 20) == 0, "and says where the file is");
    json_decref(j);
    sha256(SPAN_LIT("r7"), digest);
    struct msg_order_get g = { .sha256 = span_of(digest, 32) };
    ok(reply_is(site_do(&s, &a, &msg_desc_order_get, &g), CE_OK), "it may have the file");
    ok(reply_is(site_do(&s, &b, &msg_desc_order_get, &g), CE_NOT_ORDERED), "another device may not");
    arena_free(&arena);
}

static void reports(void)
{
    ok(reply_is(site_report(&s, &a, 1, "dreaming", ""), CE_BAD_FIELD), "an unknown state is refused");
    ok(reply_is(site_report(&s, &a, 1, "confirmed", ""), CE_BAD_FIELD), "and a confirmation of nothing");
    for (int i = 0; i < 2; i++) {
        ok(reply_is(site_report(&s, &a, 1, "downloading", ""), CE_OK) && reply_is(site_report(&s, &a, 1, "installing", ""), CE_OK) &&
               reply_is(site_report(&s, &a, 1, "installed", ""), CE_OK) && reply_is(site_report(&s, &a, 1, "downloading", ""), CE_OK),
           "reports come, also twice and in the wrong order");
        ok(site_count(&s, "SELECT count(*) FROM event WHERE device = 'dev-a' AND kind IN ('firmware-downloading', 'firmware-installed')") == 2,
           "each change of state is one event");
    }
    ok(poll_is(&s, &a, "ready"), "installed is not the end");
    json_decref(site_poll_as(&s, &a, "1.7.0", 0));
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'firmware-running'") == 1, "the trial run is no news");
    ok(reply_is(site_report(&s, &a, 9, "failed", ""), CE_OK), "a report about another order is taken");
    ok(site_count(&s, "SELECT count(*) FROM device_order WHERE uid = 'dev-a' AND state = 'installed'") == 1, "and changes nothing");
    ok(reply_is(site_report(&s, &a, 1, "confirmed", "1.7.0"), CE_OK) && poll_is(&s, &a, "idle"), "the confirmation ends the order");
    ok(site_count(&s, "SELECT count(*) FROM device_version WHERE uid = 'dev-a' AND release = 'r7' AND version = '1.7.0' AND counter_floor = 4") == 1,
       "the device runs it, and its floor has risen");
    ok(reply_is(site_report(&s, &a, 1, "failed", ""), CE_OK) && site_count(&s, "SELECT count(*) FROM device_order WHERE state = 'confirmed'") == 1,
       "what is confirmed does not fail later");
    ok(site_fold_good(&s), "fold(events) = tables");
}

static void again(void)
{
    struct arena arena = { 0 };
    struct directive d;
    ok(reply_is(order("dev-a", "r8"), CE_OK), "the next order");
    json_t *j = site_poll(&s, &a);
    ok(poll_directive(j, &arena, &d) && d.sequence == 2 && d.counter_floor == 4, "has the next number, and the floor that was confirmed");
    json_decref(j);
    int64_t issued = site_count(&s, "SELECT count(*) FROM event WHERE kind = 'firmware-offered'");
    ok(poll_is(&s, &a, "ready") && site_count(&s, "SELECT count(*) FROM event WHERE kind = 'firmware-offered'") == issued, "the same directive is given again");
    s.wall_skew_ms += 7000000;
    j = site_poll(&s, &a);
    ok(poll_directive(j, &arena, &d) && d.sequence == 2 && d.expires_s > clock_now_s() + 13000, "one that has ended is made anew with the same number");
    json_decref(j);
    ok(reply_is(site_report(&s, &a, 2, "confirmed", "1.7.0"), CE_OK) &&
           site_count(&s, "SELECT count(*) FROM device_order WHERE uid = 'dev-a' AND state = 'failed' AND reason = 'wrong-version'") == 1,
       "a confirmation of another version is a failure");
    arena_free(&arena);
}

static void signer_down(void)
{
    const struct msg_update_poll m = { .version = SPAN_LIT("") };
    ok(reply_is(order("dev-b", "r7"), CE_OK), "an order to another device");
    s.down = true;
    ok(reply_is(site_do(&s, &b, &msg_desc_update_poll, &m), CE_SIGNER), "without the signer there is no directive");
    s.down = false;
    ok(poll_is(&s, &b, "ready"), "with it there is");
    s.hold = true;
    ok(reply_is(order("dev-b", "r8"), CE_OK), "another order overtakes it");
    site_send(&s, &b, &msg_desc_update_poll, &m);
    site_run(&s);
    core_close(s.core);
    s.hold = false;
    site_forget_asks(&s);
    site_core_open(&s);
    struct arena arena = { 0 };
    struct directive d;
    json_t *j = site_poll(&s, &b);
    ok(poll_directive(j, &arena, &d) && d.sequence == 2 && span_eq_str(d.release, "r8"), "it outlives a core that died while the signer worked");
    json_decref(j);
    arena_free(&arena);
    ok(site_fold_good(&s), "fold(events) = tables");
}

int main(void)
{
    site_open(&s);
    core_close(s.core);
    s.cfg.directive_s = 7000;
    site_core_open(&s);
    site_operator(&s, "line-1", "station", "", &station);
    site_enroll(&s, &station, "dev-a", "pump", &a);
    site_enroll(&s, &station, "dev-b", "pump", &b);
    site_releases(&s, "pump", 1, (const struct site_release[]){ r7, r8, other }, 3);
    idle();
    ordered();
    reports();
    again();
    signer_down();
    buf_free(&station.der);
    buf_free(&a.der);
    buf_free(&b.der);
    site_close(&s);
    return done();
}
