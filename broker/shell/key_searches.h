/* Searches of the key index for requests that wait for them: parked requests (deferred.h) are run again until their search has
 * been answered, and find the answer here. Bounded: beyond KEY_SEARCHES_MAX a request waits for its turn.
 * Threads: the loop thread. */
#ifndef ESCROW_SHELL_KEY_SEARCHES_H
#define ESCROW_SHELL_KEY_SEARCHES_H

#include "broker/handlers/handlers.h"
#include "broker/projections/key_index.h"
#include "lib/net/mailbox.h"

enum { KEY_SEARCHES_MAX = 64, KEY_ANSWER_KEPT_MS = 10 * 1000 };

struct key_searches;

/* `answered` is called in the loop when a request may be run again. NULL without memory. */
struct key_searches *key_searches_create(struct mailbox *mailbox, void (*answered)(void *context), void *context);
/* After the index has stopped, before the mailbox goes. NULL is allowed. */
void key_searches_destroy(struct key_searches *searches);
/* For the handlers; `index` answers. */
struct key_port key_searches_port(struct key_searches *searches, struct key_index *index);
/* Forgets answers that nobody came for. */
void key_searches_tick(struct key_searches *searches, int64_t now_ms);

#endif
