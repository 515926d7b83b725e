/* record.h: a small struct kept in a file that survives power loss: rows "key = value" by a table (base/config.h) and a last line with their
 * SHA-256, so that a damaged or shortened file is never taken for an old or empty one. It is not for people's files: every change replaces it. */
#ifndef CRADLE_AGENT_RECORD_H
#define CRADLE_AGENT_RECORD_H

#include "base/config.h"

/* CE_NOT_FOUND when there is no such file; CE_BAD_CONFIG and f when it is damaged. rec is unspecified then. */
MUST_USE enum err record_load(const char *path, const struct config_key *keys, size_t n_keys, void *rec, struct fault *f);
/* Durable when it returns CE_OK; else the old one stays. CE_BAD_CONFIG: a value that could not be read back. */
MUST_USE enum err record_save(const char *path, const struct config_key *keys, size_t n_keys, const void *rec, struct fault *f);
/* Pure: the text of such a file. */
MUST_USE enum err record_parse(const char *name, struct span text, const struct config_key *keys, size_t n_keys, void *rec, struct fault *f);
/* Durably gone; CE_OK also when it was not there. */
MUST_USE enum err record_remove(const char *path, struct fault *f);

#endif
