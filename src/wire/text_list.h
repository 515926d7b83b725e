/* text_list.h: a list of texts as one span, in messages, events and tables: each text ended by a line break. A single line break is a list
 * of none; no bytes at all are no list (unchanged, or the default). Pure.
 */
#ifndef CRADLE_WIRE_TEXT_LIST_H
#define CRADLE_WIRE_TEXT_LIST_H

#include "base/json.h"

/* The next text; false at the end. */
bool text_list_next(struct span *list, struct span *one);
/* As text_list_next reads it: every text is ended and none is empty. */
bool text_list_valid(struct span list);
void text_list_json(struct json_out *j, const char *key, struct span list); /* an array of strings */

#endif
