/* checkpoint.c (fuzz): signed notes, checkpoints and verifier keys; a checkpoint that parses is written again and reads back the
 * same, and no input verifies under a key that did not sign it. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "wire/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct checkpoint *c)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(NOTE_MAX);
    struct checkpoint again;
    checkpoint_put(c, &b);
    enum err e = checkpoint_parse(buf_span(&b), &again, NULL);
    INVARIANT(e == CE_OK && again.size == c->size && merkle_eq(&again.root, &c->root) && strcmp(again.origin, c->origin) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t pub[32] = {7};
    struct note_key key, parsed;
    struct checkpoint c;
    struct fault f = {0};
    struct span in = span_of(data, size);
    if (note_key_make(&key, SPAN_LIT("fuzz.example/log"), pub, NULL))
        return 0;
    if (checkpoint_open(NULL, in, &c, &f) == CE_OK)
        round_trip(&c);
    INVARIANT(checkpoint_open(&key, in, &c, &f) != CE_OK && f.text[0]);
    if (checkpoint_parse(in, &c, &f) == CE_OK)
        round_trip(&c);
    if (note_key_parse(in, &parsed, &f) == CE_OK) {
        CLEANUP(buf_free) struct buf b = BUF_INIT(1024);
        struct note_key again;
        note_key_put(&parsed, &b);
        enum err e = note_key_parse(buf_span(&b), &again, NULL);
        INVARIANT(e == CE_OK && memcmp(again.id, parsed.id, 4) == 0 && memcmp(again.pub, parsed.pub, 32) == 0);
    }
    return 0;
}

#include "t/fuzz/replay.h"
