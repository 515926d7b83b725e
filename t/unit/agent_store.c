/* Unit test of what a device remembers of update metadata: every write of it is cut short at every place, damaged, or made to go back. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/record.h"
#include "agent/update_store.h"
#include "base/mem.h"
#include "t/tap.h"
#include "t/unit/update_site.h"

static struct update_site site;
static char dir[] = "/tmp/agent_store.XXXXXX";
static struct cradle_update_self self = { .uid = "dev-1", .line = "vib", .model = "vib-1", .hw_rev = "B", .version = "1.6.0" };

static void place(const char *name, struct span text)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s", dir, name);
    if (file_write_atomic(path, text, 0600))
        abort();
}

static struct span slurp(const char *name, struct buf *out)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s", dir, name);
    buf_reset(out);
    if (file_read(path, out))
        buf_reset(out);
    return buf_span(out);
}

static int root_step(struct cradle_update *u, struct update_store *s, struct span envelope)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    struct fault f;
    if (envelope.n)
        buf_put_span(&b, envelope);
    else if (update_store_root(s, &b, &f))
        return -1;
    return cradle_update_root(u, (char *)b.data, b.len);
}

static void test_new(void)
{
    struct update_store s;
    struct fault f;
    struct cradle_update u;
    char factory[PATH_MAX_LEN];
    ok(update_store_open(&s, dir, "", &f) == CE_NOT_FOUND && strstr(f.text, "root.json"), "without a root nothing is trusted: %s", f.text);
    path_join(factory, "%s/factory.json", dir);
    place("factory.json", SPAN_LIT("{\"payload\":3}"));
    ok(update_store_open(&s, dir, factory, &f) == CE_BAD_CONFIG, "what is no root is refused: %s", f.text);
    path_join(factory, "%s/root.json", dir);
    unlink(factory);
    path_join(factory, "%s/factory.json", dir);
    place("factory.json", site.e_root);
    ok(update_store_open(&s, dir, factory, &f) == CE_OK && s.state.root_version == 0 && s.state.sequence == 0, "the factory's root is taken over");
    cradle_update_begin(&u, &update_port, &self, &s.state, T0);
    ok(root_step(&u, &s, (struct span){ 0 }) == CRADLE_UP_OK && u.state.root_version == 1, "and is the one that the library accepts");
    ok(update_store_save(&s, &u.state, (struct span){ 0 }, &f) == CE_OK, "the state is stored");
    update_store_close(&s);
}

static void test_lock(void)
{
    struct update_store s;
    struct fault f;
    int rc = -1;
    if (update_store_open(&s, dir, "", &f))
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        struct update_store other;
        close(s.lock_fd); /* a lock belongs to the open file, which fork shares */
        _exit(update_store_open(&other, dir, "", &f) == CE_OK ? 0 : 1);
    }
    usleep(200000);
    ok(waitpid(pid, &rc, WNOHANG) == 0, "a second program waits");
    update_store_close(&s);
    ok(waitpid(pid, &rc, 0) == pid && rc == 0, "until the first is done");
}

static void test_back(void)
{
    struct update_store s;
    struct fault f;
    if (update_store_open(&s, dir, "", &f))
        abort();
    struct cradle_update_state next = s.state;
    next.sequence = 12;
    next.timestamp_version = 9;
    next.time_s = T0;
    ok(update_store_save(&s, &next, (struct span){ 0 }, &f) == CE_OK && update_store_confirm(&s, 4, &f) == CE_OK && s.state.counter_floor == 4,
       "a confirmed version raises the floor");
    next = s.state;
    next.sequence = 11;
    ok(update_store_save(&s, &next, (struct span){ 0 }, &f) == CE_ROLLBACK, "a sequence never goes back: %s", f.text);
    next = s.state;
    next.counter_floor = 3;
    ok(update_store_save(&s, &next, (struct span){ 0 }, &f) == CE_ROLLBACK, "nor does the floor");
    next = s.state;
    next.timestamp_version = 0;
    ok(update_store_save(&s, &next, (struct span){ 0 }, &f) == CE_OK, "versions may, when the root has new online keys");
    ok(update_store_confirm(&s, 2, &f) == CE_OK && s.state.counter_floor == 4, "an older counter lowers nothing");
    update_store_close(&s);
}

static void test_root(void)
{
    struct update_store s;
    struct fault f;
    struct cradle_update u;
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    site.root.head.version = 2;
    struct span second = SIGN(&site, DSSE_TYPE_TUF, tuf_root_write(&site.root, &payload), K_ANN, K_BOB);
    if (update_store_open(&s, dir, "", &f))
        abort();
    cradle_update_begin(&u, &update_port, &self, &s.state, T0);
    if (root_step(&u, &s, (struct span){ 0 }) || root_step(&u, &s, second))
        abort();
    place("2.root.json", second); /* power goes after the root and before the state */
    update_store_close(&s);
    ok(update_store_open(&s, dir, "", &f) == CE_OK && s.state.root_version == 1 && slurp("2.root.json", &b).n == 0, "a root that no state names is cleared");
    ok(update_store_save(&s, &u.state, second, &f) == CE_OK, "root and state are stored");
    update_store_close(&s);
    ok(update_store_open(&s, dir, "", &f) == CE_OK && s.state.root_version == 2 && slurp("2.root.json", &b).n == second.n, "both are there");
    cradle_update_begin(&u, &update_port, &self, &s.state, T0);
    ok(root_step(&u, &s, (struct span){ 0 }) == CRADLE_UP_OK, "and fit");
    update_store_close(&s);
}

static void test_damage(void)
{
    struct update_store s;
    struct cradle_update_state state;
    struct fault f;
    CLEANUP(buf_free) struct buf text = BUF_INIT(0);
    slurp("state", &text);
    bool all = true;
    for (size_t n = 0; n < text.len; n++)
        all &= update_state_parse("state", span_of(text.data, n), &state, &f) != CE_OK;
    ok(all, "a state that was cut anywhere (%zu places) is damaged, not new", text.len);
    all = true;
    for (size_t i = 0; i < text.len; i++) {
        text.data[i] ^= 1;
        all &= update_state_parse("state", buf_span(&text), &state, &f) != CE_OK;
        text.data[i] ^= 1;
    }
    ok(all, "with any bit changed too");
    text.data[5] ^= 1;
    place("state", buf_span(&text));
    ok(update_store_open(&s, dir, "", &f) == CE_BAD_CONFIG, "such a device installs nothing: %s", f.text);
    text.data[5] ^= 1;
    place("state", buf_span(&text));
    ok(update_store_open(&s, dir, "", &f) == CE_OK, "the good one is read");
    update_store_close(&s);
}

int main(void)
{
    char cmd[PATH_MAX_LEN];
    update_site_make(&site);
    if (!mkdtemp(dir))
        abort();
    test_new();
    test_lock();
    test_back();
    test_root();
    test_damage();
    update_site_free(&site);
    path_join(cmd, "rm -rf %s", dir);
    return system(cmd) ? 1 : done();
}
