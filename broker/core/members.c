#include "broker/core/members.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "lib/base/table.h"

struct connection;
struct group;

struct member {
	struct member *conn_prev, *conn_next;
	struct member *group_prev, *group_next;
	struct connection *connection;
	struct group *group;
	enum member_role role;
	int64_t seen_mono_ms;
	UT_hash_handle by_id;  /* While it `stands`: in its group's table of clients. */
	bool stands;           /* For its client: the last that came of that one's connections in this group and role. */
	struct member *before; /* Those that it stands in front of, the latest first. */
};

struct connection {
	UT_hash_handle hh;
	uint64_t conn_id;
	UT_hash_handle by_client; /* While `found`: in the table of producers by client id. */
	bool found;
	struct member *members;
	struct host address;
	int32_t language;
	int32_t version;
	size_t client_id_size;
	uint8_t *client_id;
};

struct group {
	UT_hash_handle hh;
	uint32_t group_id;
	struct member *members[2]; /* By role, like the next. */
	struct member *clients[2]; /* By client id. */
	struct consumer_profile profile;
	struct subscription *subscriptions;
	size_t subscription_count;
};

struct members {
	struct connection *connections;
	struct connection *producers; /* By client id. */
	struct group *groups;
	size_t member_count;
	size_t member_max;
};

struct members *members_create(size_t member_max)
{
	struct members *members = calloc(1, sizeof(*members));

	if (members != NULL)
		members->member_max = member_max;
	return members;
}

static struct connection *find_connection(const struct members *members, uint64_t conn_id)
{
	struct connection *connection = NULL;

	HASH_FIND(hh, members->connections, &conn_id, sizeof(conn_id), connection);
	return connection;
}

static struct group *find_group(const struct members *members, uint32_t group_id)
{
	struct group *group = NULL;

	HASH_FIND(hh, members->groups, &group_id, sizeof(group_id), group);
	return group;
}

static struct connection *find_producer(const struct members *members, struct span client_id)
{
	struct connection *connection = NULL;

	HASH_FIND(by_client, members->producers, client_id.data, client_id.size, connection);
	return connection;
}

static void hide_producer(struct members *members, struct connection *connection)
{
	if (connection->found)
		HASH_DELETE(by_client, members->producers, connection);
	connection->found = false;
}

/* The connection that says so last is the one under which a client is found. */
static enum status show_producer(struct members *members, struct connection *connection)
{
	struct connection *before = find_producer(members, (struct span){ connection->client_id, connection->client_id_size });

	if (before == connection || connection->client_id_size == 0)
		return ST_OK;
	if (before != NULL)
		hide_producer(members, before);
	HASH_ADD_KEYPTR(by_client, members->producers, connection->client_id, connection->client_id_size, connection);
	connection->found = connection->by_client.tbl != NULL;
	return connection->found ? ST_OK : ST_NOMEM;
}

static void free_connection(struct members *members, struct connection *connection)
{
	hide_producer(members, connection);
	HASH_DEL(members->connections, connection);
	free(connection->client_id);
	free(connection);
}

static void drop_subscriptions(struct group *group)
{
	for (size_t i = 0; i < group->subscription_count; i++)
		expression_release(group->subscriptions[i].expression);
	free(group->subscriptions);
	group->subscriptions = NULL;
	group->subscription_count = 0;
}

static void free_group(struct members *members, struct group *group)
{
	HASH_DEL(members->groups, group);
	drop_subscriptions(group);
	free(group);
}

static bool is_empty(const struct group *group)
{
	return group->members[MEMBER_PRODUCER] == NULL && group->members[MEMBER_CONSUMER] == NULL;
}

/* --- clients and their connections ------------------------------------------------------------------------------------- */

static struct member *find_standing(const struct member *member)
{
	const struct connection *connection = member->connection;
	struct member *found = NULL;

	if (connection->client_id_size > 0)
		HASH_FIND(by_id, member->group->clients[member->role], connection->client_id, connection->client_id_size, found);
	return found;
}

static void put_in_front(struct member *member)
{
	struct connection *connection = member->connection;

	HASH_ADD_KEYPTR(by_id, member->group->clients[member->role], connection->client_id, connection->client_id_size, member);
	member->stands = member->by_id.tbl != NULL;
}

static void take_from_front(struct member *member)
{
	HASH_DELETE(by_id, member->group->clients[member->role], member);
	member->stands = false;
}

/* From now on it stands for its client. Without memory for that, its next heartbeat tries again. */
static void stand(struct member *member)
{
	struct member *before = find_standing(member);

	if (before == member || member->connection->client_id_size == 0)
		return;
	member->before = NULL;
	put_in_front(member);
	if (!member->stands || before == NULL)
		return;
	member->before = before;
	take_from_front(before);
}

/* It goes, or is about to have another name: the one before it stands for the client again. */
static void step_back(struct member *member)
{
	struct member *before = member->before, *standing = find_standing(member);

	member->before = NULL;
	if (member->stands) {
		if (before != NULL)
			put_in_front(before);
		if (before != NULL && !before->stands)
			before->before = NULL;
		take_from_front(member);
		return;
	}
	for (; standing != NULL; standing = standing->before) {
		if (standing->before == member) {
			standing->before = before;
			return;
		}
	}
}

/* Ends one membership; forgets connection and group when it was their last. */
static void remove_member(struct members *members, struct member *member, members_gone gone, void *context)
{
	struct connection *connection = member->connection;
	struct group *group = member->group;
	uint64_t conn_id = connection->conn_id;
	uint32_t group_id = group->group_id;
	enum member_role role = member->role;

	step_back(member);
	DL_DELETE2(connection->members, member, conn_prev, conn_next);
	DL_DELETE2(group->members[role], member, group_prev, group_next);
	free(member);
	members->member_count--;
	if (role == MEMBER_CONSUMER && group->members[MEMBER_CONSUMER] == NULL)
		drop_subscriptions(group);
	if (connection->members == NULL)
		free_connection(members, connection);
	if (is_empty(group))
		free_group(members, group);
	if (gone != NULL)
		gone(context, conn_id, group_id, role);
}

void members_destroy(struct members *members)
{
	if (members == NULL)
		return;
	while (members->connections != NULL)
		members_connection_gone(members, members->connections->conn_id, NULL, NULL);
	free(members);
}

static struct connection *make_connection(struct members *members, uint64_t conn_id)
{
	struct connection *connection = find_connection(members, conn_id);

	if (connection != NULL)
		return connection;
	connection = calloc(1, sizeof(*connection));
	if (connection == NULL)
		return NULL;
	connection->conn_id = conn_id;
	HASH_ADD(hh, members->connections, conn_id, sizeof(connection->conn_id), connection);
	if (!table_took(connection)) {
		free(connection);
		return NULL;
	}
	return connection;
}

static struct group *make_group(struct members *members, uint32_t group_id)
{
	struct group *group = find_group(members, group_id);

	if (group != NULL)
		return group;
	group = calloc(1, sizeof(*group));
	if (group == NULL)
		return NULL;
	group->group_id = group_id;
	HASH_ADD(hh, members->groups, group_id, sizeof(group->group_id), group);
	if (!table_took(group)) {
		free(group);
		return NULL;
	}
	return group;
}

static struct member *find_member(const struct connection *connection, uint32_t group_id, enum member_role role)
{
	struct member *member;

	DL_FOREACH2(connection->members, member, conn_next) {
		if (member->group->group_id == group_id && member->role == role)
			return member;
	}
	return NULL;
}

static bool set_client(struct members *members, struct connection *connection, const struct member_client *client)
{
	struct member *member;

	connection->language = client->language;
	connection->version = client->version;
	connection->address = client->address;
	if (span_equal((struct span){ connection->client_id, connection->client_id_size }, client->client_id))
		return true;
	uint8_t *copy = malloc(client->client_id.size + 1);
	if (copy == NULL)
		return false;
	if (client->client_id.size > 0)
		memcpy(copy, client->client_id.data, client->client_id.size);
	hide_producer(members, connection);
	DL_FOREACH2(connection->members, member, conn_next)
		step_back(member);
	free(connection->client_id);
	connection->client_id = copy;
	connection->client_id_size = client->client_id.size;
	DL_FOREACH2(connection->members, member, conn_next)
		stand(member);
	return true;
}

/* The membership, made if new. On failure nothing is left half made that a later close would not free. */
static enum status see(struct members *members, const struct member_client *client, uint32_t group_id,
		       enum member_role role, bool *joined, struct member **member_out)
{
	struct connection *connection = find_connection(members, client->conn_id);
	struct member *member = connection == NULL ? NULL : find_member(connection, group_id, role);

	*joined = member == NULL;
	if (member == NULL) {
		if (members->member_count >= members->member_max)
			return ST_FULL;
		member = calloc(1, sizeof(*member));
		if (member == NULL)
			return ST_NOMEM;
		connection = make_connection(members, client->conn_id);
		member->group = make_group(members, group_id);
		if (connection == NULL || member->group == NULL) {
			if (connection != NULL && connection->members == NULL)
				free_connection(members, connection);
			if (member->group != NULL && is_empty(member->group))
				free_group(members, member->group);
			free(member);
			return ST_NOMEM;
		}
		member->connection = connection;
		member->role = role;
		DL_APPEND2(connection->members, member, conn_prev, conn_next);
		DL_APPEND2(member->group->members[role], member, group_prev, group_next);
		members->member_count++;
	}
	member->seen_mono_ms = client->now_mono_ms;
	*member_out = member;
	if (!set_client(members, connection, client))
		return ST_NOMEM;
	if (*joined || find_standing(member) == NULL)
		stand(member);
	return ST_OK;
}

enum status members_see_producer(struct members *members, const struct member_client *client, uint32_t group_id,
				 bool *joined)
{
	struct member *member;

	enum status status = see(members, client, group_id, MEMBER_PRODUCER, joined, &member);

	return status == ST_OK ? show_producer(members, member->connection) : status;
}

static const struct subscription *find_subscription(const struct subscription *set, size_t count, uint32_t topic_id)
{
	for (size_t i = 0; i < count; i++) {
		if (set[i].topic_id == topic_id)
			return &set[i];
	}
	return NULL;
}

/* The set to keep: the newest version of each topic that the heartbeat names. True if that differs from the old. */
static bool merge(const struct group *group, const struct subscription *said, size_t said_count,
		  struct subscription *merged)
{
	bool changed = said_count != group->subscription_count;

	for (size_t i = 0; i < said_count; i++) {
		const struct subscription *old =
			find_subscription(group->subscriptions, group->subscription_count, said[i].topic_id);

		merged[i] = old != NULL && old->sub_version > said[i].sub_version ? *old : said[i];
		if (old == NULL || (merged[i].sub_version != old->sub_version &&
				    !(tag_filter_equal(&merged[i].filter, &old->filter) &&
				      span_equal(expression_text(merged[i].expression), expression_text(old->expression)))))
			changed = true;
	}
	return changed;
}

enum status members_see_consumer(struct members *members, const struct member_client *client, uint32_t group_id,
				 const struct consumer_profile *profile, const struct subscription *subscriptions,
				 size_t subscription_count, bool *changed)
{
	struct member *member;
	enum status status = see(members, client, group_id, MEMBER_CONSUMER, changed, &member);

	if (status != ST_OK)
		return status;
	struct group *group = member->group;
	struct subscription *merged = calloc(subscription_count + 1, sizeof(*merged));
	if (merged == NULL)
		return ST_NOMEM;
	if (merge(group, subscriptions, subscription_count, merged))
		*changed = true;
	for (size_t i = 0; i < subscription_count; i++)
		(void)expression_hold(merged[i].expression);
	drop_subscriptions(group);
	group->subscriptions = merged;
	group->subscription_count = subscription_count;
	group->profile = *profile;
	return ST_OK;
}

void members_unregister(struct members *members, uint64_t conn_id, uint32_t group_id, enum member_role role,
			members_gone gone, void *context)
{
	struct connection *connection = find_connection(members, conn_id);
	struct member *member = connection == NULL ? NULL : find_member(connection, group_id, role);

	if (member == NULL)
		return;
	while (role == MEMBER_CONSUMER && member->before != NULL)
		remove_member(members, member->before, gone, context);
	remove_member(members, member, gone, context);
}

void members_connection_gone(struct members *members, uint64_t conn_id, members_gone gone, void *context)
{
	struct connection *connection = find_connection(members, conn_id);

	if (connection == NULL)
		return;
	/* Removing the last member frees the connection: take the list's end from the loop, not from it. */
	for (bool last = false; !last;) {
		struct member *member = connection->members;

		last = member->conn_next == NULL;
		remove_member(members, member, gone, context);
	}
}

void members_expire(struct members *members, int64_t now_mono_ms, members_gone gone, void *context)
{
	struct connection *connection, *next_connection;
	struct member *member, *next_member;

	HASH_ITER(hh, members->connections, connection, next_connection) {
		DL_FOREACH_SAFE2(connection->members, member, next_member, conn_next) {
			if (now_mono_ms - member->seen_mono_ms > MEMBER_SILENCE_MS)
				remove_member(members, member, gone, context);
		}
	}
}

bool members_client(const struct members *members, uint64_t conn_id, struct member_client *out)
{
	const struct connection *connection = find_connection(members, conn_id);

	if (connection == NULL)
		return false;
	*out = (struct member_client){ .conn_id = conn_id, .client_id = { connection->client_id, connection->client_id_size },
				       .address = connection->address, .language = connection->language,
				       .version = connection->version };
	return true;
}

struct span members_client_id(const struct members *members, uint64_t conn_id)
{
	const struct connection *connection = find_connection(members, conn_id);

	if (connection == NULL)
		return SPAN_NONE;
	return (struct span){ connection->client_id, connection->client_id_size };
}

uint64_t members_find_producer(const struct members *members, struct span client_id)
{
	const struct connection *connection = client_id.size == 0 ? NULL : find_producer(members, client_id);

	return connection == NULL ? 0 : connection->conn_id;
}

static void visit_member(const struct member *member, members_visit visit, void *context)
{
	const struct connection *connection = member->connection;

	if (visit != NULL)
		visit(context, connection->conn_id, (struct span){ connection->client_id, connection->client_id_size });
}

size_t members_each(const struct members *members, uint32_t group_id, enum member_role role, members_visit visit,
		    void *context)
{
	const struct group *group = find_group(members, group_id);
	const struct member *member;
	size_t count = 0;

	if (group == NULL)
		return 0;
	DL_FOREACH2(group->members[role], member, group_next) {
		count++;
		visit_member(member, visit, context);
	}
	return count;
}

size_t members_each_client(const struct members *members, uint32_t group_id, enum member_role role, members_visit visit,
			   void *context)
{
	const struct group *group = find_group(members, group_id);
	const struct member *member;

	if (group == NULL)
		return 0;
	DL_FOREACH2(group->members[role], member, group_next) {
		if (member->stands)
			visit_member(member, visit, context);
	}
	return HASH_CNT(by_id, group->clients[role]);
}

const struct consumer_profile *members_profile(const struct members *members, uint32_t group_id)
{
	const struct group *group = find_group(members, group_id);

	return group == NULL || group->members[MEMBER_CONSUMER] == NULL ? NULL : &group->profile;
}

const struct subscription *members_subscription(const struct members *members, uint32_t group_id, uint32_t topic_id)
{
	const struct group *group = find_group(members, group_id);

	if (group == NULL)
		return NULL;
	return find_subscription(group->subscriptions, group->subscription_count, topic_id);
}

const struct subscription *members_subscriptions(const struct members *members, uint32_t group_id, size_t *count_out)
{
	const struct group *group = find_group(members, group_id);

	*count_out = group == NULL ? 0 : group->subscription_count;
	return group == NULL ? NULL : group->subscriptions;
}

void members_each_group(const struct members *members, enum member_role role, members_visit_group visit, void *context)
{
	for (const struct group *group = members->groups; group != NULL; group = group->hh.next) {
		if (group->members[role] != NULL)
			visit(context, group->group_id);
	}
}
