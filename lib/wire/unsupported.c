#include "lib/wire/unsupported.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/wire/codes.h"

/* Codes from `first` to `last` are about one thing that there is not here. */
struct absence {
	int32_t first, last;
	const char *advice;
};

static const char no_replicas[] =
	"there are no replicas here: keep the store on a mirrored disk, and RocketMQ's slaves away";
static const char no_controller[] = "there is no controller here: a broker that fails is started again on its store";
static const char no_container[] = "this is no broker container: start and stop escrow-broker itself";
static const char no_cold_limit[] = "reads of cold data are not limited here: there is nothing to set";
static const char no_access_control[] =
	"there are no users and no ACLs here: limit who can reach the ports of the brokers and the name servers";

static const struct absence absences[] = {
	{ REQ_UPDATE_AND_CREATE_ACL_CONFIG, REQ_GET_BROKER_CLUSTER_ACL_CONFIG, no_access_control },
	/* 60 and 61 come from slaves of RocketMQ, never from a tool. */
	{ REQ_GET_TIMER_CHECK_POINT, REQ_GET_TIMER_METRICS, no_replicas },
	{ REQ_REGISTER_FILTER_SERVER, REQ_REGISTER_MESSAGE_FILTER_CLASS,
	  "there are no filter servers here: filter by tags or by SQL92" },
	{ REQ_CHECK_ROCKSDB_CQ_WRITE_PROGRESS, REQ_CHECK_ROCKSDB_CQ_WRITE_PROGRESS,
	  "there is no RocksDB here: queryCq shows what a queue holds" },
	{ REQ_EXPORT_ROCKSDB_CONFIG_TO_JSON, REQ_EXPORT_ROCKSDB_CONFIG_TO_JSON,
	  "there is no RocksDB here: exportMetadata writes topics and groups" },
	{ REQ_UPDATE_AND_CREATE_STATIC_TOPIC, REQ_UPDATE_AND_CREATE_STATIC_TOPIC,
	  "there are no static topics here: make an ordinary one with updateTopic" },
	{ REQ_ADD_BROKER, REQ_REMOVE_BROKER, no_container },
	{ REQ_NOTIFY_MIN_BROKER_ID_CHANGE, REQ_RESET_MASTER_FLUSH_OFFSET, no_replicas },
	{ REQ_CONTROLLER_ALTER_SYNC_STATE_SET, REQ_CONTROLLER_APPLY_BROKER_ID, no_controller },
	{ REQ_UPDATE_COLD_DATA_FLOW_CTR_CONFIG, REQ_GET_COLD_DATA_FLOW_CTR_INFO, no_cold_limit },
	{ REQ_SET_COMMITLOG_READ_MODE, REQ_SET_COMMITLOG_READ_MODE,
	  "the log's read ahead is the system's: there is nothing to set" },
	{ REQ_AUTH_CREATE_USER, REQ_AUTH_LIST_ACL, no_access_control },
	{ REQ_SWITCH_TIMER_ENGINE, REQ_SWITCH_TIMER_ENGINE, "there is one timer engine here: nothing to switch" },
	{ REQ_POP_ROLLBACK, REQ_POP_ROLLBACK, "what is checked out by POP survives a restart: there is nothing to export" },
};

/* Requests that a name server of RocketMQ serves. */
static bool is_for_namesrv(int32_t code)
{
	switch (code) {
	case REQ_PUT_KV_CONFIG:
	case REQ_GET_KV_CONFIG:
	case REQ_DELETE_KV_CONFIG:
	case REQ_GET_KVLIST_BY_NAMESPACE:
	case REQ_REGISTER_BROKER:
	case REQ_UNREGISTER_BROKER:
	case REQ_BROKER_HEARTBEAT:
	case REQ_QUERY_DATA_VERSION:
	case REQ_GET_BROKER_MEMBER_GROUP:
	case REQ_GET_ROUTEINFO_BY_TOPIC:
	case REQ_GET_BROKER_CLUSTER_INFO:
	case REQ_GET_ALL_TOPIC_LIST_FROM_NAMESERVER:
	case REQ_GET_TOPICS_BY_CLUSTER:
	case REQ_GET_SYSTEM_TOPIC_LIST_FROM_NS:
	case REQ_GET_UNIT_TOPIC_LIST:
	case REQ_GET_HAS_UNIT_SUB_TOPIC_LIST:
	case REQ_GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST:
	case REQ_REGISTER_TOPIC_IN_NAMESRV:
	case REQ_DELETE_TOPIC_IN_NAMESRV:
	case REQ_WIPE_WRITE_PERM_OF_BROKER:
	case REQ_ADD_WRITE_PERM_OF_BROKER:
	case REQ_GET_NAMESRV_CONFIG:
	case REQ_UPDATE_NAMESRV_CONFIG: return true;
	default: return false;
	}
}

static const char *advice_on(int32_t code, enum asked_peer asked)
{
	for (size_t i = 0; i < sizeof(absences) / sizeof(absences[0]); i++) {
		if (code >= absences[i].first && code <= absences[i].last)
			return absences[i].advice;
	}
	if (strcmp(request_code_name(code), "UNKNOWN") == 0)
		return NULL;
	if (asked == ASKED_BROKER)
		return is_for_namesrv(code) ? "this is a broker: ask a name server" : NULL;
	return is_for_namesrv(code) ? NULL : "this is a name server: ask a broker";
}

void unsupported_remark(int32_t code, enum asked_peer asked, char out[UNSUPPORTED_REMARK_SIZE])
{
	const char *advice = advice_on(code, asked);

	snprintf(out, UNSUPPORTED_REMARK_SIZE, " request type %d not supported%s%s", code, advice == NULL ? "" : ": ",
		 advice == NULL ? "" : advice);
}
