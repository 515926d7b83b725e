/* ddi.h: hawkBit's Direct Device Integration API, as its clients speak it (SWUpdate's suricatta, rauc-hawkbit-updater, Zephyr): what they
 * send is read, what they are given is written. Pure: it knows no device, no order and no route; role/front_ddi.c does.
 *
 * The clients differ in what they demand, so an answer has all of it: one chunk with one artifact, part bApp, SHA-1 and SHA-256, both links.
 */
#ifndef CRADLE_WIRE_DDI_H
#define CRADLE_WIRE_DDI_H

#include "base/mem.h"
#include "base/span.h"

#define DDI_BODY_MAX 65536        /* SWUpdate sends up to 48 lines of its log in one feedback */
#define DDI_TEXT_MAX 200          /* bytes of the details that are kept */
#define DDI_VERSION_MAX 64
#define DDI_SLEEP_MAX 86399       /* s: "23:59:59" */
#define DDI_ACTION_MAX 2147483647 /* clients keep an action's number in an int */

enum ddi_execution { DDI_CLOSED, DDI_PROCEEDING, DDI_CANCELED, DDI_SCHEDULED, DDI_REJECTED, DDI_RESUMED, DDI_DOWNLOAD, DDI_DOWNLOADED };
enum ddi_finished { DDI_NONE, DDI_SUCCESS, DDI_FAILURE };

struct ddi_feedback {
    int64_t id; /* of the action; 0: not said */
    enum ddi_execution execution;
    enum ddi_finished finished;
    int64_t cnt, of;  /* progress; of 0: not said */
    struct span text; /* the details, joined, as valid UTF-8 without control characters, cut at DDI_TEXT_MAX; in the arena */
};

/* POST …/feedback. Details may have any bytes: SWUpdate writes lines of its log between quotes and escapes nothing. What stands before them
 * must be JSON. CE_BAD_JSON, CE_BAD_FIELD. */
MUST_USE enum err ddi_feedback_read(struct span body, struct arena *a, struct ddi_feedback *out, struct fault *f);

/* PUT configData: the attribute "version" is what runs on the device; the others are not kept. Empty when not said. CE_BAD_JSON, CE_BAD_FIELD. */
MUST_USE enum err ddi_config_read(struct span body, struct arena *a, struct span *version, struct fault *f);

/* What a feedback means for an order, in the words of reports. trying: the client has said before that the file is written, and left the action
 * open: SWUpdate does, and closes it when the new system runs. Only then "closed" is "confirmed". RAUC and Zephyr close the action when the file
 * is written: that is "installed", and what confirms it is the attribute "version" after the restart. */
const char *ddi_feedback_state(const struct ddi_feedback *fb, bool trying);
int64_t ddi_feedback_percent(const struct ddi_feedback *fb);

/* "7" -> 7; anything but 1 to DDI_ACTION_MAX without leading zeros is 0. */
int64_t ddi_action(struct span text);

struct ddi_site {
    struct span url;    /* https://HOST:PORT */
    struct span tenant; /* as the client wrote it */
    struct span uid;
};
/* GET base: deploy, cancel: numbers of the actions, 0 for none. config: the client should send its attributes. */
void ddi_base_write(const struct ddi_site *s, int64_t sleep_s, int64_t deploy, int64_t cancel, bool config, struct buf *out);

struct ddi_deployment {
    int64_t id;
    struct span name, version; /* of the release */
    struct span filename;
    struct span sha1, md5, sha256; /* raw; md5 may be empty */
    int64_t size;
    struct span url; /* where the file is */
    bool forced;     /* the user is not asked */
};
void ddi_deployment_write(const struct ddi_deployment *d, struct buf *out);
void ddi_cancel_write(int64_t id, struct buf *out);

#endif
