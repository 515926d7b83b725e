/* netlag.c: a link between two network namespaces, made of two tun devices, that delays, duplicates, loses and cuts packets when it is
 * told to. For kernels without sch_netem. It shares no code with src/.
 *
 * usage: netlag FIFO NAMESPACE-A DEVICE-A NAMESPACE-B DEVICE-B      namespaces as `ip netns add` makes them
 * Commands, a line each, through FIFO (made here): "delay MS" each way, "dup PERCENT", "loss PERCENT", "cut", "heal", "end".
 * Prints "ready" when both devices are there; then the caller gives them addresses. Ends on "end", SIGTERM, or when it is told nothing
 * for an hour.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX 2048
#define WAITING_MAX 8192 /* packets each way; beyond it they are lost, as on a link */
#define IDLE_NS 3600000000000ll

struct packet { long long due_ns; int n; char *bytes; };
struct way { int from, to; struct packet *ring; unsigned head, count; };

static struct way ways[2];
static long long delay_ns, told_ns;
static int dup_pct, loss_pct, is_cut;

static void die(const char *what)
{
    fprintf(stderr, "netlag: %s: %s\n", what, strerror(errno));
    exit(1);
}

static long long now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int device_open(const char *space, const char *name)
{
    char path[256];
    struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
    snprintf(path, sizeof path, "/var/run/netns/%s", space);
    int ns = open(path, O_RDONLY | O_CLOEXEC);
    if (ns < 0 || setns(ns, CLONE_NEWNET))
        die(path);
    close(ns);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &r))
        die("/dev/net/tun");
    return fd;
}

static void put(struct way *w, const char *bytes, int n, long long due_ns)
{
    if (w->count == WAITING_MAX)
        return;
    struct packet *p = &w->ring[(w->head + w->count++) % WAITING_MAX];
    p->due_ns = due_ns;
    p->n = n;
    p->bytes = malloc((size_t)n);
    if (!p->bytes)
        die("malloc");
    memcpy(p->bytes, bytes, (size_t)n);
}

static void take(struct way *w)
{
    char bytes[PACKET_MAX];
    int n;
    while ((n = (int)read(w->from, bytes, sizeof bytes)) > 0) {
        if (is_cut || rand() % 100 < loss_pct)
            continue;
        put(w, bytes, n, now_ns() + delay_ns);
        if (rand() % 100 < dup_pct)
            put(w, bytes, n, now_ns() + delay_ns);
    }
}

static void pass(struct way *w)
{
    while (w->count && w->ring[w->head].due_ns <= now_ns()) {
        struct packet *p = &w->ring[w->head];
        if (!is_cut && write(w->to, p->bytes, (size_t)p->n) < 0 && errno != EAGAIN && errno != EIO)
            die("write");
        free(p->bytes);
        w->head = (w->head + 1) % WAITING_MAX;
        w->count--;
    }
}

static int command(const char *line)
{
    int n;
    if (sscanf(line, "delay %d", &n) == 1)
        delay_ns = n * 1000000ll;
    else if (sscanf(line, "dup %d", &n) == 1)
        dup_pct = n;
    else if (sscanf(line, "loss %d", &n) == 1)
        loss_pct = n;
    else if (!strcmp(line, "cut") || !strcmp(line, "heal"))
        is_cut = *line == 'c';
    else if (!strcmp(line, "end"))
        return 0;
    else
        fprintf(stderr, "netlag: what is \"%s\"?\n", line);
    told_ns = now_ns();
    return 1;
}

static int commands(int fd)
{
    char text[512], *line, *rest = text;
    ssize_t n = read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    while ((line = strsep(&rest, "\n")))
        if (*line && !command(line))
            return 0;
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fputs("usage: netlag FIFO NAMESPACE-A DEVICE-A NAMESPACE-B DEVICE-B\n", stderr);
        return 2;
    }
    if (mkfifo(argv[1], 0600))
        die(argv[1]);
    int fifo = open(argv[1], O_RDWR | O_NONBLOCK | O_CLOEXEC); /* writing too: no end of file between two commands */
    if (fifo < 0)
        die(argv[1]);
    ways[0].from = ways[1].to = device_open(argv[2], argv[3]);
    ways[0].to = ways[1].from = device_open(argv[4], argv[5]);
    for (int i = 0; i < 2; i++)
        if (!(ways[i].ring = calloc(WAITING_MAX, sizeof *ways[i].ring)))
            die("calloc");
    puts("ready");
    fflush(stdout);
    told_ns = now_ns();
    for (;;) {
        struct pollfd p[3] = { { ways[0].from, POLLIN, 0 }, { ways[1].from, POLLIN, 0 }, { fifo, POLLIN, 0 } };
        long long now = now_ns(), wait = 1000000000;
        for (int i = 0; i < 2; i++)
            if (ways[i].count && ways[i].ring[ways[i].head].due_ns - now < wait)
                wait = ways[i].ring[ways[i].head].due_ns - now;
        struct timespec t = { 0, 0 };
        if (wait > 0) {
            t.tv_sec = wait / 1000000000;
            t.tv_nsec = wait % 1000000000;
        }
        ppoll(p, 3, &t, NULL);
        if ((p[2].revents && !commands(fifo)) || now_ns() - told_ns > IDLE_NS)
            return 0;
        for (int i = 0; i < 2; i++) {
            take(&ways[i]);
            pass(&ways[i]);
        }
    }
}
