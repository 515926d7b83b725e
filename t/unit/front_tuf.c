/* Update metadata at a front that has not heard what another one took a moment ago: it asks core before it judges. Core is played
 * (front_harness.h): its pushes come when it is asked. */
#include "t/unit/front_harness.h"
#include "t/unit/update_site.h"

static struct update_site site;

static void tell_core(const char *role, struct span envelope)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s.json", T, role);
    FILE *out = fopen(path, "w");
    if (!out || fwrite(envelope.p, 1, envelope.n, out) != envelope.n || fclose(out))
        abort();
}

static struct resp send_role(const char *role, struct span envelope)
{
    char path[64];
    snprintf(path, sizeof path, "/api/v1/tuf/%s", role);
    return request_as("POST", path, "admin", NULL, "Content-Type: application/json\r\n", envelope);
}

int main(void)
{
    update_site_make(&site);
    if (harness_start() != 0) {
        ok(false, "the front starts");
        return done();
    }
    ready_wait();
    ok(answers(send_role("targets", site.e_targets), 404, "not-found"), "targets before any root are refused");
    struct resp r = send_role("root", site.e_root);
    ok(r.status == 200 && has(&r, "\"judged_by\":0"), "the first root is judged by itself");
    resp_free(&r);
    ok(answers(send_role("targets", site.e_targets), 404, "not-found"), "this front has not heard of one that core has not");
    tell_core("root", site.e_root);
    r = send_role("targets", site.e_targets);
    ok(r.status == 200 && has(&r, "\"msg\":\"tuf_put\"") && has(&r, "\"judged_by\":1"), "a root that another front took: it is heard of in time");
    resp_free(&r);
    ok(answers(send_role("vib", site.e_line), 404, "line-unknown"), "a line that no targets name is refused");
    tell_core("targets", site.e_targets);
    r = send_role("vib", site.e_line);
    ok(r.status == 200 && has(&r, "\"role\":\"vib\"") && has(&r, "\"judged_by\":1"), "targets that another front took: they are heard of in time");
    resp_free(&r);
    ok(answers(send_role("vib", site.e_targets), 400, "bad-metadata"), "what is not the line's is refused");
    ok(answers(send_role("targets", SPAN_LIT("{}")), 400, "bad-envelope"), "what is no envelope never reaches core");
    ok(harness_stop() == 0, "the front ends cleanly");
    update_site_free(&site);
    return done();
}
