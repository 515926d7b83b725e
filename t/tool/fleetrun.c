/* fleetrun.c: many devices on one machine: runs `cradle-agent update once` for each folder of FLEET again and again, so many at a time, and is
 * their boot loader: after an agent has asked for a restart, the version in the slot that is named is the one that runs. It links nothing of ours
 * and writes down what it sees on the devices' own disks.
 * usage: fleetrun AGENT FLEET AT_A_TIME INTERVAL_MS LOG
 * FLEET/UID/  agent.conf  boot (slot that is booted next)  slots/a slots/b  running (version)  restart (asked for)
 *             never: this one is in its box; dies: the restart that it asks for is its last act
 * LOG: MS UID boot VERSION | MS UID state SEQUENCE VERSION STATE TOLD (of its order file, when changed) | MS UID run EXIT_CODE TOOK_MS
 * New folders join while it runs. Ends on SIGTERM, prints {"runs","failed","took_s","cpu_s"}.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEVICES_MAX 20000
#define SCAN_MS 500

struct device {
    char uid[65], order[280];
    pid_t pid;
    int64_t due_ms, began_ms;
    bool dead;
};
static struct device devices[DEVICES_MAX];
static int n_devices, n_running;
static int64_t runs, failed;
static const char *agent, *fleet;
static FILE *out;
static volatile sig_atomic_t stop;

static void on_stop(int sig) { stop = sig; }

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static const char *path_of(const struct device *d, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s/%s", fleet, d->uid, name);
    return path;
}
static bool has(const struct device *d, const char *name) { return access(path_of(d, name), F_OK) == 0; }

static void line_read(const char *path, char *to, int cap)
{
    FILE *f = fopen(path, "r");
    to[0] = 0;
    if (f && fgets(to, cap, f))
        to[strcspn(to, "\n")] = 0;
    if (f)
        fclose(f);
}

static void scan(void)
{
    DIR *dir = opendir(fleet);
    struct dirent *e;
    while (dir && (e = readdir(dir))) {
        int i = 0;
        struct device d = { .due_ms = now_ms() };
        snprintf(d.uid, sizeof d.uid, "%.64s", e->d_name);
        while (i < n_devices && strcmp(devices[i].uid, d.uid) != 0)
            i++;
        if (e->d_name[0] != '.' && i == n_devices && n_devices < DEVICES_MAX && has(&d, "agent.conf"))
            devices[n_devices++] = d;
    }
    if (dir)
        closedir(dir);
}

static void run_start(struct device *d)
{
    char conf[512];
    snprintf(conf, sizeof conf, "%s", path_of(d, "agent.conf"));
    d->began_ms = now_ms();
    d->pid = fork();
    if (d->pid == 0) {
        int log = open(path_of(d, "log"), O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(log, 1);
        dup2(log, 2);
        execl(agent, "cradle-agent", "-c", conf, "update", "once", (char *)NULL);
        _exit(127);
    }
    n_running += d->pid > 0;
}

static void boot(struct device *d)
{
    char slot[8], version[65], running[512], next[512];
    line_read(path_of(d, "boot"), slot, sizeof slot);
    line_read(path_of(d, slot[0] == 'b' ? "slots/b" : "slots/a"), version, sizeof version);
    snprintf(next, sizeof next, "%s", path_of(d, "running.new"));
    snprintf(running, sizeof running, "%s", path_of(d, "running"));
    FILE *f = fopen(next, "w");
    if (f && fprintf(f, "%s\n", version) > 0 && fclose(f) == 0 && rename(next, running) == 0)
        fprintf(out, "%lld %s boot %s\n", (long long)now_ms(), d->uid, version);
}

static void order_look(struct device *d)
{
    static const char *const keys[] = { "sequence", "version", "state", "told" };
    char line[512], value[4][65] = { "0", "-", "none", "-" }, text[280];
    FILE *f = fopen(path_of(d, "state/update/order"), "r");
    while (f && fgets(line, sizeof line, f))
        for (int i = 0; i < 4; i++)
            if (strncmp(line, keys[i], strlen(keys[i])) == 0 && strncmp(line + strlen(keys[i]), " = ", 3) == 0)
                sscanf(line + strlen(keys[i]) + 3, "%64s", value[i]);
    if (f)
        fclose(f);
    snprintf(text, sizeof text, "%s %s %s %s", value[0], value[1], value[2], value[3]);
    if (strcmp(text, d->order) == 0)
        return;
    memcpy(d->order, text, sizeof text);
    fprintf(out, "%lld %s state %s\n", (long long)now_ms(), d->uid, text);
}

static void run_ended(struct device *d, int status, int64_t interval_ms)
{
    int rc = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    int64_t now = now_ms();
    d->pid = 0;
    n_running--;
    runs++;
    failed += rc != 0;
    fprintf(out, "%lld %s run %d %lld\n", (long long)now, d->uid, rc, (long long)(now - d->began_ms));
    order_look(d);
    d->due_ms = now + interval_ms / 2 + rand() % (interval_ms + 1);
    if (!has(d, "restart"))
        return;
    unlink(path_of(d, "restart"));
    if (has(d, "dies")) {
        d->dead = true;
        fprintf(out, "%lld %s dead\n", (long long)now, d->uid);
        return;
    }
    boot(d);
    d->due_ms = now;
}

static void reap(int64_t interval_ms)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < n_devices; i++)
            if (devices[i].pid == pid)
                run_ended(&devices[i], status, interval_ms);
}

static void start_due(int at_a_time)
{
    static int next; /* round, so that nobody starves */
    for (int k = 0; k < n_devices && n_running < at_a_time; k++, next = (next + 1) % n_devices) {
        struct device *d = &devices[next];
        if (!d->pid && !d->dead && d->due_ms <= now_ms() && !has(d, "never"))
            run_start(d);
    }
}

int main(int argc, char **argv)
{
    if (argc != 6 || atoi(argv[3]) < 1 || atoi(argv[4]) < 1 || !(out = fopen(argv[5], "a"))) {
        fprintf(stderr, "usage: fleetrun AGENT FLEET AT_A_TIME INTERVAL_MS LOG\n");
        return 2;
    }
    int64_t began = now_ms(), scanned = 0, interval_ms = atoi(argv[4]);
    struct rusage used;
    agent = argv[1];
    fleet = argv[2];
    setvbuf(out, NULL, _IOLBF, 0);
    signal(SIGTERM, on_stop);
    while (!stop || n_running) {
        if (!stop && now_ms() - scanned >= SCAN_MS) {
            scan();
            scanned = now_ms();
        }
        reap(interval_ms);
        if (!stop)
            start_due(atoi(argv[3]));
        usleep(2000);
    }
    getrusage(RUSAGE_CHILDREN, &used);
    printf("{\"runs\":%lld,\"failed\":%lld,\"took_s\":%.1f,\"cpu_s\":%.1f}\n", (long long)runs, (long long)failed, (double)(now_ms() - began) / 1e3,
           (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    return 0;
}
