/* fold_priv.h: what the files of the fold share: one event being applied, and its fields. See fold.h. */
#ifndef CRADLE_CORE_FOLD_PRIV_H
#define CRADLE_CORE_FOLD_PRIV_H

#include "base/mem.h"
#include "core/batch.h"
#include "core/fold.h"

struct fold {
    struct db *to;
    const struct event_row *ev;
    const json_t *payload;
    struct arena arena;
    struct fault *f;
    enum err err;          /* sticky: a field was missing */
};
/* fold_apply.c: fields of the payload; what is missing or malformed is in x->err */
struct span fold_text(struct fold *x, const char *key);
int64_t fold_number(struct fold *x, const char *key);
struct span fold_hexed(struct fold *x, const char *key);
struct span fold_base64(struct fold *x, const char *key);
int64_t fold_time_s(struct fold *x, const char *key);
int64_t fold_time_ms(struct fold *x, const char *key);

/* fold_line.c: product lines and their settings */
enum err fold_line(struct fold *x);
enum err fold_line_changed(struct fold *x);
enum err fold_line_state(struct fold *x);
enum err fold_line_approvals(struct fold *x);
enum err fold_line_enroll(struct fold *x);
enum err fold_line_secrets(struct fold *x);
enum err fold_line_service(struct fold *x);
enum err fold_line_ca(struct fold *x);
enum err fold_line_key_home(struct fold *x);
enum err fold_line_grace(struct fold *x);

/* fold_order.c: orders to devices, and what devices run */
enum err fold_ordered(struct fold *x);
enum err fold_offered(struct fold *x);
enum err fold_moved(struct fold *x);
enum err fold_postponed(struct fold *x);
enum err fold_running(struct fold *x);
/* fold_enroll.c */
enum err fold_enroll_requested(struct fold *x);
enum err fold_enroll_decided(struct fold *x);
/* fold_idevid.c */
enum err fold_anchor_added(struct fold *x);
enum err fold_anchor_removed(struct fold *x);
enum err fold_anchor_crl(struct fold *x);
enum err fold_idevid_pinned(struct fold *x);
enum err fold_idevid_forgotten(struct fold *x);
/* fold_key.c */
enum err fold_keys_blocked(struct fold *x);
enum err fold_key_unblocked(struct fold *x);
/* fold_cmp.c */
enum err fold_secret_made(struct fold *x);
enum err fold_secret_used(struct fold *x);
enum err fold_secret_over(struct fold *x);
/* fold_mass.c */
enum err fold_mass_created(struct fold *x);
enum err fold_mass_counted(struct fold *x);
enum err fold_mass_confirmed(struct fold *x);
enum err fold_mass_state(struct fold *x);
enum err fold_mass_ended(struct fold *x);
enum err fold_mass_listed(struct fold *x);
enum err fold_mass_device(struct fold *x);
enum err fold_mass_changed(struct fold *x); /* a device-state of a job */
/* fold_rollout.c */
enum err fold_rollout(struct fold *x);
enum err fold_rollout_approved(struct fold *x);
enum err fold_rollout_state(struct fold *x);
enum err fold_wave_opened(struct fold *x);
enum err fold_wave_filled(struct fold *x);
enum err fold_wave_reached(struct fold *x);
enum err fold_wave_excused(struct fold *x);
/* fold_attest.c */
enum err fold_line_ek_ca(struct fold *x);
enum err fold_device_ek(struct fold *x);
enum err fold_key_home(struct fold *x);

#endif
