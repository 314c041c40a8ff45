/* Questions that the broker puts to clients for somebody else: who asked, who is asked, until when?
 *
 * An operator's request about a consumer (307, 309, 223) is handed on over that consumer's own connection. Its answer goes
 * back as it comes, or, when several consumers are asked, together with theirs. Whoever does not answer in time, or goes
 * away, is answered for: nobody waits for ever. Bounded by RELAYS_MAX questions under way and RELAY_TABLE_MAX bytes of
 * gathered answers each.
 * Threads: the loop thread. */
#ifndef ESCROW_HANDLERS_RELAYS_H
#define ESCROW_HANDLERS_RELAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"
#include "lib/wire/command.h"

enum { RELAYS_MAX = 1000, RELAY_TABLE_MAX = 4 * 1024 * 1024, RELAY_TIMEOUT_MS = 10 * 1000, RELAY_GATHER_TIMEOUT_MS = 5 * 1000 };

struct handlers;
struct relay;
struct relay_job;
struct request;

struct relays {
	struct relay *all; /* Oldest first. */
	size_t count;
};

/* Begins a job for the asker of `request`. `gather`: the answers (of 221) become one GetConsumerStatusBody; otherwise there is
 * one question, whose answer is passed on. NULL without memory. End it with relay_job_asked. */
struct relay_job *relay_job_begin(const struct request *request, bool gather);
/* A question to a client: fields and body are put between begin and end. NULL: the client is gone, or there are too many
 * questions already; nothing was begun then. */
struct buffer *relay_ask_begin(struct handlers *handlers, struct relay_job *job, uint64_t conn_id, struct span client_id,
			       int32_t code, struct encoder *encoder);
void relay_ask_end(struct handlers *handlers, struct encoder *encoder);
/* All questions are out. Without any the asker is answered now. */
void relay_job_asked(struct handlers *handlers, struct relay_job *job);

/* Instead of that: forgets a job without questions; NULL is allowed. */
void relay_job_drop(struct relay_job *job);
/* Puts every field of a foreign command whose name a header can hold. */
void relay_put_fields(struct encoder *encoder, const struct command *command);

/* A client's response: false if nobody waits for it. */
bool relays_answered(struct handlers *handlers, uint64_t conn_id, const struct command *answer);
void relays_connection_gone(struct handlers *handlers, uint64_t conn_id);
/* Ends those whose time is up. */
void relays_tick(struct handlers *handlers, int64_t now_ms);
/* Forgets everything without a word. */
void relays_clear(struct handlers *handlers);

#endif
