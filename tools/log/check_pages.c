/* See check_pages.h. */
#include "tools/log/check_pages.h"

#include <inttypes.h>
#include <stdio.h>

/* A snapshot that was replaced since says nothing of the pages. */
static enum status begin(struct check_pages *pages, struct errinfo *err)
{
	const struct snapshot_item *newest = snapshots_newest(pages->snapshots);

	if (pages->begun || newest == NULL || pages->snapshots->index_lost)
		return ST_OK;
	pages->begun = true;
	enum status status = pages_open(vfs_posix(), pages->store, newest->from, &pages->look, err);
	return status == ST_NOTFOUND ? ST_OK : status;
}

enum status check_pages_see(struct check_pages *pages, const struct log_record *record, struct errinfo *err)
{
	enum status status = begin(pages, err);

	if (status == ST_OK && pages->look != NULL)
		pages_see(pages->look, record);
	return status;
}

enum status check_pages_run(struct check_pages *pages, struct errinfo *err)
{
	enum status status = begin(pages, err);

	return status == ST_OK && pages->look != NULL ? pages_check(pages->look, &pages->damages, &pages->count, err) : status;
}

void check_pages_free(struct check_pages *pages)
{
	pages_free(pages->look);
	*pages = (struct check_pages){ 0 };
}

/* --- printing ------------------------------------------------------------------------------------------------------- */

static void print_page(const struct page_damage *damage)
{
	struct buffer topic;

	buffer_init(&topic, 0);
	text_for_people(damage->topic, &topic);
	printf("DAMAGE      index.pages byte %" PRIu64 ": entry %" PRIu64 " of ", damage->byte, damage->entry);
	if (damage->topic.size == 0)
		printf("the half index");
	else
		printf("%.*s/%" PRIu32, SPAN_ARGS(buffer_span(&topic)), damage->queue_id);
	printf(": %s", damage->reason);
	if (damage->count > 1)
		printf(" (and %u more of this page)", damage->count - 1);
	printf("\n");
	buffer_deinit(&topic);
}

static void print_page_json(const struct page_damage *damage, struct lines *lines)
{
	line_begin(lines, "index_damage");
	line_word(lines, "file", "index.pages");
	line_u64(lines, "byte", damage->byte);
	line_text(lines, "topic", damage->topic); /* null: the half index. */
	line_u64(lines, "queue", damage->queue_id);
	line_u64(lines, "entry", damage->entry);
	line_u64(lines, "entries", damage->count);
	line_word(lines, "reason", damage->reason);
	line_end(lines);
}

void check_pages_print(const struct check_pages *pages, bool log_damaged, struct lines *lines)
{
	size_t shown = pages->count < PAGES_DAMAGES_MAX ? pages->count : PAGES_DAMAGES_MAX;

	for (size_t i = 0; i < shown; i++) {
		if (lines->json)
			print_page_json(&pages->damages[i], lines);
		else
			print_page(&pages->damages[i]);
	}
	if (shown == 0 || lines->json)
		return;
	if (pages->count > shown)
		printf("            and %zu more pages\n", pages->count - shown);
	printf("            Messages are not lost: whoever reads such an entry is refused. %s\n",
	       log_damaged ? "To build the file anew, a start must read all of the log, which is damaged: mend that first." :
			     "Stop the broker, remove index.pages and start: it is built anew from the log.");
}
