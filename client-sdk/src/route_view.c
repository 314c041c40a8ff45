#include "client-sdk/src/route_view.h"

#include <stdlib.h>

#include "lib/wire/codes.h"

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct view_broker *)a)->name, ((const struct view_broker *)b)->name);
}

static void add_brokers(struct route_view *view, const struct route *route)
{
	for (size_t i = 0; i < route->broker_count && view->broker_count < VIEW_BROKERS_MAX; i++) {
		const struct broker_data *data = &route->brokers[i];
		struct view_broker *broker = &view->brokers[view->broker_count];

		memset(broker, 0, sizeof(*broker));
		if (span_to_cstr(data->broker_name, broker->name, sizeof(broker->name)) != ST_OK)
			continue;
		for (size_t j = 0; j < data->addr_count && broker->address_count < VIEW_ADDRESSES_MAX; j++) {
			struct view_address *address = &broker->addresses[broker->address_count];

			if (span_to_cstr(data->addrs[j].addr, address->address, sizeof(address->address)) != ST_OK)
				continue;
			address->broker_id = data->addrs[j].broker_id;
			broker->address_count++;
		}
		view->broker_count++;
	}
	qsort(view->brokers, view->broker_count, sizeof(*view->brokers), by_name);
}

static const struct queue_data *queues_of(const struct route *route, const char *broker_name)
{
	for (size_t i = 0; i < route->queue_count; i++) {
		if (span_is(route->queues[i].broker_name, broker_name))
			return &route->queues[i];
	}
	return NULL;
}

static enum status add_queues(struct view_queue **list, size_t *count, uint32_t broker, int32_t queues)
{
	if (queues <= 0)
		return ST_OK;
	size_t adding = (size_t)queues;
	if (adding > VIEW_QUEUES_MAX - *count)
		adding = VIEW_QUEUES_MAX - *count;
	struct view_queue *grown = realloc(*list, (*count + adding + 1) * sizeof(**list));
	if (grown == NULL)
		return ST_NOMEM;
	*list = grown;
	for (size_t i = 0; i < adding; i++)
		grown[(*count)++] = (struct view_queue){ broker, (int32_t)i };
	return ST_OK;
}

enum status route_view_make(const struct route *route, int32_t template_queues_max, struct route_view **out)
{
	struct route_view *view = calloc(1, sizeof(*view));
	enum status status = ST_OK;

	if (view != NULL)
		view->brokers = calloc(route->broker_count + 1, sizeof(*view->brokers));
	if (view == NULL || view->brokers == NULL) {
		route_view_free(view);
		return ST_NOMEM;
	}
	add_brokers(view, route);
	for (uint32_t i = 0; i < view->broker_count && status == ST_OK; i++) {
		const struct queue_data *data = queues_of(route, view->brokers[i].name);

		if (data == NULL)
			continue;
		int32_t writable = data->write_queue_nums, readable = data->read_queue_nums;
		if (template_queues_max > 0 && writable > template_queues_max)
			writable = template_queues_max;
		if (template_queues_max > 0 && readable > template_queues_max)
			readable = template_queues_max;
		if ((data->perm & PERM_WRITE) && view_broker_address(&view->brokers[i], MASTER_ID) != NULL)
			status = add_queues(&view->publish, &view->publish_count, i, writable);
		if (status == ST_OK && (data->perm & PERM_READ))
			status = add_queues(&view->subscribe, &view->subscribe_count, i, readable);
	}
	if (status != ST_OK) {
		route_view_free(view);
		return status;
	}
	*out = view;
	return ST_OK;
}

void route_view_free(struct route_view *view)
{
	if (view == NULL)
		return;
	free(view->brokers);
	free(view->publish);
	free(view->subscribe);
	free(view);
}

const char *view_broker_address(const struct view_broker *broker, int64_t broker_id)
{
	for (uint32_t i = 0; i < broker->address_count; i++) {
		if (broker->addresses[i].broker_id == broker_id)
			return broker->addresses[i].address;
	}
	return NULL;
}
