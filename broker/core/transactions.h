/* Ends of transactions: what END_TRANSACTION, answered checks and exhausted checks do.
 *
 * The first decision wins; the same again is a no-op, the opposite is refused with 604 and recorded. Whatever the
 * answer rests on is durable before it leaves. Threads: the loop thread. */
#ifndef ESCROW_CORE_TRANSACTIONS_H
#define ESCROW_CORE_TRANSACTIONS_H

#include "broker/core/core.h"
#include "lib/record/record_transaction.h"
#include "lib/txn/pending.h"

struct end_request {
	struct span group;
	uint64_t half_queue_offset; /* tranStateTableOffset */
	uint64_t half_offset;       /* commitLogOffset */
	enum record_outcome outcome; /* COMMIT or ROLLBACK; 0 = unknown. */
	bool from_check;
	struct span transaction_id; /* Compared when not empty. */
	struct span unique_key;     /* Compared when not empty, and in place of a transaction id. */
	uint64_t conn_id;
	struct span client_id;
};

/* ST_OK: done, or it was so already. */
enum status core_end_transaction(struct core *core, const struct end_request *request, struct outcome *outcome) MUST_USE;

/* An operator's word about the half at this log offset: commit, roll back, park, or have it asked about again (resume). */
enum status core_operator_decide(struct core *core, uint64_t half_offset, enum record_outcome asked, struct span operator_name,
				 struct outcome *outcome) MUST_USE;

/* Everything about an open half that a check-back needs; `*attempts_out`: how often a producer was asked before. Valid until
 * the next record is begun or read. ST_NOTFOUND: not open. ST_AGAIN: it must be read from disk first (core_take_cold_read). */
enum status core_stored_half(struct core *core, uint64_t half_queue_offset, struct record_half *out, uint32_t *attempts_out,
			     struct errinfo *err) MUST_USE;

/* --- for core.c: effects of check-back --------------------------------------------------------------- */
bool transactions_ask(void *context, struct pending *entry, uint64_t conn_id);
bool transactions_full(void *context, uint64_t conn_id);
void transactions_exhausted(void *context, struct pending *entry);
/* Writes the check events of this turn as one CHECK record. */
void transactions_record_checks(struct core *core);

#endif
