/* topic_decide.c: what one decision about a topic costs: a device's publish, its subscription, a refusal, and the worst set of templates.
 * usage: topic_decide   prints one line of JSON, nanoseconds each.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "wire/policy.h"

#define TIMES 2000000

static double decide_ns(const struct topic_rights *r, const struct topic_self *who, const char *topic, unsigned access, bool want)
{
    struct span t = span_str(topic);
    uint32_t yes = 0;
    int64_t from = clock_mono_us();
    for (uint32_t i = 0; i < TIMES; i++)
        yes += topic_allows(r, who, t, access, NULL);
    int64_t us = clock_mono_us() - from;
    if (yes != (want ? TIMES : 0)) {
        fprintf(stderr, "topic_decide: a wrong decision about %s\n", topic);
        exit(1);
    }
    return (double)us * 1000 / TIMES;
}

int main(void)
{
    CLEANUP(buf_free) struct buf doc = BUF_INIT(POLICY_MAX);
    struct topic_self who = { .uid = SPAN_LIT("pump-000123"), .line = SPAN_LIT("pumps") };
    struct policy *p;
    struct fault f;
    buf_put_str(&doc, "cradle-policy 1\nline pumps alarm\n w d/%u/up/#\n r d/%u/down/#\nline worst alarm\n");
    for (int i = 0; i < TOPIC_TEMPLATES; i++) /* each but the last differs from the topic at its end only */
        buf_printf(&doc, " w fleet/%%l/%%u/+/+/+/%c/#\n", 'a' + i);
    if (policy_parse(buf_span(&doc), &p, &f)) {
        fprintf(stderr, "topic_decide: %s\n", f.text);
        return 1;
    }
    const struct topic_rights *pumps = &policy_line(p, SPAN_LIT("pumps"))->rights, *worst = &policy_line(p, SPAN_LIT("worst"))->rights;
    double publish = decide_ns(pumps, &who, "d/pump-000123/up/temperature/3", TOPIC_WRITE, true);
    double subscribe = decide_ns(pumps, &who, "d/pump-000123/down/#", TOPIC_SUBSCRIBE, true);
    double refuse = decide_ns(pumps, &who, "d/pump-000124/up/temperature/3", TOPIC_WRITE, false);
    double eight = decide_ns(worst, &who, "fleet/pumps/pump-000123/hall-3/sensor-12/temperature/h/now", TOPIC_WRITE, true);
    printf("{\"bench\": \"topic\", \"publish_ns\": %.0f, \"subscribe_ns\": %.0f, \"refuse_ns\": %.0f, \"eight_ns\": %.0f}\n", publish, subscribe, refuse, eight);
    policy_free(p);
    return 0;
}
