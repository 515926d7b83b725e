/* evlog_priv.h: what the evlog_*.c files share. Not for others. */
#ifndef CRADLE_CORE_EVLOG_PRIV_H
#define CRADLE_CORE_EVLOG_PRIV_H

#include "core/evlog.h"
#include "core/tiles.h"
#include "core/job_thread.h"
#include "wire/checkpoint.h"

/* The right edge of the tree: of each tile level the hashes of its unfinished tile, and the entries of the unfinished bundle.
 * With it the tree grows and its root is known without reading a file. */
struct evlog_edge {
    uint64_t size;
    struct merkle_hash row[TILE_LEVELS][TILE_WIDTH];
    uint8_t entry[TILE_WIDTH][TILE_ENTRY];
};

#define EVLOG_RUNS 64 /* streams in one integration */

struct evlog {
    struct evlog_config c;
    char dir[PATH_MAX_LEN];
    bool keyed; /* key is set: signatures are judged */
    struct note_key key;
    struct tree_row tree;    /* as committed */
    struct evlog_edge *edge; /* of tree.size */
    struct evlog_edge *next; /* being prepared; its size > tree.size when there is something to write */
    struct merkle_hash next_root;
    struct tree_run runs[EVLOG_RUNS];
    size_t nruns;
    enum evlog_stage stage;
    struct job_thread *writer;
    struct tile_job *job; /* the writer's while the stage is TILES or HEAD */
    int64_t published; /* size in the checkpoint file */
    int64_t repaired;
    int64_t head_size; /* the head offered for signing, 0 none */
    struct merkle_hash head_root;
    struct buf note;   /* signed, to be published */
    bool note_is_due;  /* it was accepted */
};

void evlog_edge_root(const struct evlog_edge *edge, struct merkle_hash *out);
/* One entry more; full tiles go into the job. */
void evlog_edge_add(struct evlog_edge *edge, const uint8_t entry[TILE_ENTRY], struct tile_job *j);
/* The partial tiles of the edge go into the job. */
void evlog_edge_flush(const struct evlog_edge *edge, struct tile_job *j);
/* SHA-256(salt || payload), or what was kept of an erased event. CE_LOG_INCONSISTENT when neither is there. */
MUST_USE enum err evlog_entry(const struct tree_event *ev, uint8_t out[TILE_ENTRY]);
/* evlog_start.c: reads or makes the edge of tree.size, checks what was published. */
MUST_USE enum err evlog_start(struct evlog *l, struct fault *f);

#endif
