#include "lib/wire/header_transaction.h"

#include "lib/wire/header_fields.h"

#define END(member, name, kind, bits) HEADER_FIELD(struct end_transaction_header, member, name, kind, bits)

enum {
	END_GROUP,
	END_QUEUE_OFFSET,
	END_LOG_OFFSET,
	END_OUTCOME,
	END_FROM_CHECK,
	END_MSG_ID,
	END_TRANSACTION_ID,
	END_TOPIC,
};

static const struct end_transaction_header end_defaults = { 0 };
static const struct header_field end_fields[] = {
	[END_GROUP] = END(producer_group, "producerGroup", HEADER_TEXT, HEADER_MANDATORY),
	[END_QUEUE_OFFSET] = END(tran_state_table_offset, "tranStateTableOffset", HEADER_I64, HEADER_MANDATORY),
	[END_LOG_OFFSET] = END(commit_log_offset, "commitLogOffset", HEADER_I64, HEADER_MANDATORY),
	[END_OUTCOME] = END(commit_or_rollback, "commitOrRollback", HEADER_I32, HEADER_MANDATORY),
	[END_FROM_CHECK] = END(from_transaction_check, "fromTransactionCheck", HEADER_BOOL, 0),
	[END_MSG_ID] = END(msg_id, "msgId", HEADER_TEXT, 0),
	[END_TRANSACTION_ID] = END(transaction_id, "transactionId", HEADER_TEXT, 0),
	[END_TOPIC] = END(topic, "topic", HEADER_TEXT, 0),
};

static int end_candidate(struct span name)
{
	switch (name.size) {
	case 5: return name.data[0] == 'm' ? END_MSG_ID : END_TOPIC;
	case 13: return name.data[0] == 'p' ? END_GROUP : END_TRANSACTION_ID;
	case 15: return END_LOG_OFFSET;
	case 16: return END_OUTCOME;
	case 20: return name.data[0] == 't' ? END_QUEUE_OFFSET : END_FROM_CHECK;
	default: return -1;
	}
}

static const struct header_spec end_spec = HEADER_SPEC(end_fields, end_candidate, end_defaults);

enum status end_transaction_decode(const struct command *command, struct end_transaction_header *out,
				   struct errinfo *err)
{
	return header_decode(command, &end_spec, out, err);
}

void end_transaction_encode(struct encoder *encoder, const struct end_transaction_header *header)
{
	header_encode(encoder, &end_spec, header);
}

#define CHECK(member, name, kind, bits) HEADER_FIELD(struct check_transaction_header, member, name, kind, bits)

static const struct check_transaction_header check_defaults = { 0 };
static const struct header_field check_fields[] = {
	CHECK(tran_state_table_offset, "tranStateTableOffset", HEADER_I64, HEADER_MANDATORY),
	CHECK(commit_log_offset, "commitLogOffset", HEADER_I64, HEADER_MANDATORY),
	CHECK(msg_id, "msgId", HEADER_TEXT, 0),
	CHECK(transaction_id, "transactionId", HEADER_TEXT, 0),
	CHECK(offset_msg_id, "offsetMsgId", HEADER_TEXT, 0),
	CHECK(topic, "topic", HEADER_TEXT, 0),
	CHECK(broker_name, "bname", HEADER_TEXT, 0),
};
static const struct header_spec check_spec = HEADER_SPEC(check_fields, NULL, check_defaults);

enum status check_transaction_decode(const struct command *command, struct check_transaction_header *out,
				     struct errinfo *err)
{
	return header_decode(command, &check_spec, out, err);
}

void check_transaction_encode(struct encoder *encoder, const struct check_transaction_header *header)
{
	header_encode(encoder, &check_spec, header);
}
