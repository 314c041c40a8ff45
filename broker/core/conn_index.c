#include "broker/core/conn_index.h"

#include <stdlib.h>
#include <utlist.h>

#include "lib/base/table.h"

/* Of one connection, while there are any. */
struct conn_links {
	UT_hash_handle hh;
	uint64_t conn_id;
	struct conn_link *first;
};

static struct conn_links *find(const struct conn_index *index, uint64_t conn_id)
{
	struct conn_links *links;

	HASH_FIND(hh, index->by_conn, &conn_id, sizeof(conn_id), links);
	return links;
}

static struct conn_links *make(struct conn_index *index, uint64_t conn_id)
{
	struct conn_links *links = find(index, conn_id);

	if (links != NULL)
		return links;
	links = calloc(1, sizeof(*links));
	if (links == NULL)
		return NULL;
	links->conn_id = conn_id;
	HASH_ADD(hh, index->by_conn, conn_id, sizeof(links->conn_id), links);
	if (!table_took(links)) {
		free(links);
		return NULL;
	}
	return links;
}

enum status conn_index_add(struct conn_index *index, uint64_t conn_id, struct conn_link *link)
{
	link->owner = make(index, conn_id);
	if (link->owner == NULL)
		return ST_NOMEM;
	DL_APPEND(link->owner->first, link);
	return ST_OK;
}

void conn_index_remove(struct conn_index *index, struct conn_link *link)
{
	struct conn_links *links = link->owner;

	DL_DELETE(links->first, link);
	if (links->first != NULL)
		return;
	HASH_DEL(index->by_conn, links);
	free(links);
}

struct conn_link *conn_index_first(const struct conn_index *index, uint64_t conn_id)
{
	struct conn_links *links = find(index, conn_id);

	return links == NULL ? NULL : links->first;
}
