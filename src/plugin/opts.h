/* opts.h: the plugin's options (plugin.def) and what they name, loaded and checked. Opens files only in opts_load. */
#ifndef CRADLE_PLUGIN_OPTS_H
#define CRADLE_PLUGIN_OPTS_H

#include "base/config.h"
#include "plugin/judge.h"
#include "snap/snapfile.h"

struct plugin_config {
#define CFG CONFIG_FIELD
#include "plugin/plugin.def"
#undef CFG
};

struct opts {
    struct plugin_config cfg;
    struct judge_trust trust;
    uint8_t pub[SNAP_PUB];
};

void opts_defaults(struct opts *o);
/* One `plugin_opt_KEY value`. Unknown key or bad value: CE_BAD_CONFIG and f says which. */
MUST_USE enum err opts_set(struct opts *o, const char *key, const char *value, struct fault *f);
/* Reads the files. CE_BAD_CONFIG and file errors. */
MUST_USE enum err opts_load(struct opts *o, struct fault *f);

#endif
