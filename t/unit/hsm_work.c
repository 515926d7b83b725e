/* hsm_work.c (unit): the threads of the hsm role among themselves, for ThreadSanitizer above all: the queues, answers on their way to core, keys that come and go. No
 * key is in a token here, so every answer is a refusal; what sessions with a token do is t/unit/token.c, and the whole role t/scenario/hsm_*.sh.
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "role/hsm_impl.h"
#include "t/tap.h"
#include "wire/ipc.h"

#define JOBS 3000
#define WORKERS 6

static struct hsm h;
static bool seen[JOBS];
static size_t answers, twice, strange;

static void *flicker(void *arg)
{
    struct hsm_key *k = arg;
    for (int i = 0; i < 500; i++) {
        hsm_key_is(&h, k, i % 2 ? NULL : "it is away for a test");
        (void)hsm_work_stuck_ms(&h);
    }
    return NULL;
}

/* What the main thread of the role does with answers, without core. */
static void answers_take(void)
{
    CLEANUP(buf_free) struct buf got = BUF_INIT(0);
    struct ipc_frame f;
    pthread_mutex_lock(&h.lock);
    buf_put_span(&got, buf_span(&h.out));
    buf_reset(&h.out);
    pthread_cond_broadcast(&h.room);
    pthread_mutex_unlock(&h.lock);
    struct span rest = buf_span(&got);
    while (rest.n && ipc_frame_get(&rest, &f) == CE_OK) {
        strange += f.type != MSG_SIGNED || f.rid >= JOBS;
        if (f.rid < JOBS) {
            twice += seen[f.rid];
            seen[f.rid] = true;
        }
        answers++;
    }
}

int main(void)
{
    char dir[] = "/tmp/cradle-hsm-XXXXXX";
    struct settings settings = { 0 };
    struct fault f = { 0 };
    pthread_t thread;
    log_setup("test", LOG_LEVEL_ERROR);
    if (!mkdtemp(dir))
        return 1;
    const struct role_context rc = { .site = dir, .settings = &settings };
    h = (struct hsm){ .rc = &rc, .settings = &settings, .n_workers = WORKERS, .n_keys = 1, .out = BUF_INIT(0), .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
    snprintf(h.keys[0].name, sizeof h.keys[0].name, "device");
    hsm_work_init(&h);
    ok(hsm_work_start(&h, &f) == CE_OK, "the threads start %s", f.text);
    ok(pthread_create(&thread, NULL, flicker, &h.keys[0]) == 0, "a key comes and goes");
    for (uint64_t i = 0; i < JOBS; i++) {
        const struct ipc_frame job = { .type = i % 3 ? MSG_SIGN_CERT : MSG_SIGN_HEAD, .rid = i, .body = SPAN_LIT("no message") };
        hsm_work_put(&h, &job);
        if (i % 100 == 0)
            answers_take();
    }
    for (int i = 0; i < 6000 && answers < JOBS; i++) {
        usleep(10000);
        answers_take();
    }
    pthread_join(thread, NULL);
    ok(answers == JOBS && !twice && !strange, "each request has one answer (%zu, %zu twice, %zu strange)", answers, twice, strange);
    ok(hsm_work_stuck_ms(&h) < 60000, "and nobody works any more");
    rmdir(dir);
    return done();
}
