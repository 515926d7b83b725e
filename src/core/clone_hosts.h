/* clone_hosts.h: how far the word of each broker goes: until when its process was there and all that it had to say has come. Pure, bounded.
 * It turns a session that is still open into a proof: a broker puts out who was silent for one and a half times its keepalive (MQTT 3.1.1
 * 3.1.2.10), so the holder of an open session was there no longer ago than that before its broker's last word.
 */
#ifndef CRADLE_CORE_CLONE_HOSTS_H
#define CRADLE_CORE_CLONE_HOSTS_H

#include "wire/clone.h"

#define CLONE_HOSTS 1024        /* processes of brokers; the one that was silent longest makes room */
#define CLONE_CLOCK_MS 10000    /* the times of a host whose clock differs by more prove nothing */
#define CLONE_PATIENCE_MS 10000 /* a broker may take so long to notice that a keepalive has passed */
#define CLONE_DOUBT_MS 300000

struct clone_hosts; /* opaque */
struct clone_hosts *clone_hosts_new(void);
void clone_hosts_free(struct clone_hosts *h);

/* A report of the broker says at_ms (its host's clock) and came at now_ms. lost: how many of its reports never left its host, so far;
 * when that grows, what is open is doubtful until it has told all its sessions again (clone_hosts_synced), at most for CLONE_DOUBT_MS. */
void clone_hosts_alive(struct clone_hosts *h, const char *place, const char *run, int64_t at_ms, int64_t now_ms, int64_t lost);
void clone_hosts_synced(struct clone_hosts *h, const char *place, const char *run);
void clone_hosts_ended(struct clone_hosts *h, const char *place, const char *run);
/* When was the holder of the open session s certainly there? 0: cannot be said (without a keepalive it never can: a
 * half-open session stays for ever then). overlap_ms: the bound for sessions whose keepalive is longer. */
int64_t clone_hosts_heard(const struct clone_hosts *h, const struct clone_session *s, int64_t overlap_ms);

#endif
