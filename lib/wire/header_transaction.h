/* The headers of transactions: END_TRANSACTION (37) and CHECK_TRANSACTION_STATE (39).
 * See headers.h for the rules common to all headers. */
#ifndef ESCROW_WIRE_HEADER_TRANSACTION_H
#define ESCROW_WIRE_HEADER_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/command.h"

struct end_transaction_header {
	struct span producer_group;
	int64_t tran_state_table_offset; /* Offset in the half queue. */
	int64_t commit_log_offset;       /* Log offset of the half. */
	int32_t commit_or_rollback;      /* TRANSACTION_*; others pass decoding. */
	bool from_transaction_check;     /* Default false. */
	struct span msg_id;              /* The UNIQ_KEY, not an offset id. Optional. */
	struct span transaction_id;      /* UNIQ_KEY. Optional; C++ sends it empty. */
	struct span topic;               /* Optional, 5.x Java only. */
};
enum status end_transaction_decode(const struct command *command, struct end_transaction_header *out,
				   struct errinfo *err) MUST_USE;
void end_transaction_encode(struct encoder *encoder, const struct end_transaction_header *header);

struct check_transaction_header {
	int64_t tran_state_table_offset;
	int64_t commit_log_offset;
	struct span msg_id;         /* UNIQ_KEY. Optional. */
	struct span transaction_id; /* UNIQ_KEY. Optional. */
	struct span offset_msg_id;  /* Optional. */
	struct span topic;          /* Optional. */
	struct span broker_name;    /* `bname`. Optional. */
};
enum status check_transaction_decode(const struct command *command, struct check_transaction_header *out,
				     struct errinfo *err) MUST_USE;
void check_transaction_encode(struct encoder *encoder, const struct check_transaction_header *header);

#endif
