/* update_sealed.h: the file of an order that the site keeps encrypted (cradle/unseal.h): its content key, unwrapped by the device's own key, and its
 * bytes, opened segment by segment as they come. What it hands on is what a download in plain would: to be judged by the signed digests all the same. */
#ifndef CRADLE_AGENT_UPDATE_SEALED_H
#define CRADLE_AGENT_UPDATE_SEALED_H

#include "agent/update_client.h"

struct sealed_job {
    struct updater *u;
    int64_t at;      /* plain bytes that are in place */
    bool (*on_begin)(void *arg, int64_t from);         /* as of struct net_download, in plain bytes; from is at, always */
    bool (*on_bytes)(void *arg, struct span bytes);
    void *arg;
};
/* As net_download. CE_BAD_PROOF: the key is not for this device and file, or the bytes were changed. */
MUST_USE enum err update_sealed(const struct sealed_job *j, struct fault *f);

#endif
