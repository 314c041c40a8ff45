/* escrow-broker: options, then broker_run. */
#include "broker/shell/broker.h"
#include "lib/base/logging.h"
#include "lib/net/service.h"

int main(int argc, char **argv)
{
	static struct broker_config config;
	struct errinfo err;
	enum config_action action;
	enum log_level level;

	config_init(broker_config_spec(), &config);
	if (config_parse_args(broker_config_spec(), &config, argc, argv, &action, &err) != ST_OK)
		return service_fail("escrow-broker", &err);
	if (action == CONFIG_EXIT_OK)
		return 0;
	if (broker_config_finish(&config, &err) != ST_OK)
		return service_fail("escrow-broker", &err);
	if (log_level_parse(config.log_level, &level) != ST_OK) {
		errinfo_set(&err, ST_INVALID, "logLevel=%s: use debug, info, warn or error", config.log_level);
		return service_fail("escrow-broker", &err);
	}
	log_set_level(level);
	return broker_run(&config, &err) == ST_OK ? 0 : service_fail("escrow-broker", &err);
}
