/* status.h: parts of the status JSON that have a file of their own. */
#ifndef CRADLE_CORE_STATUS_H
#define CRADLE_CORE_STATUS_H

#include <stdint.h>

struct core;
struct json_out;
void update_status_put(struct core *core, int64_t now_ms, struct json_out *j); /* member "updates" */
void enroll_status_put(struct core *core, struct json_out *j);                 /* member "enrollments" */
void update_metrics_put(struct core *core, struct buf *out); /* metrics_update.c: Prometheus text */

#endif
