/* escrow-broker: options, then broker_run. */
#include "broker/shell/broker.h"
#include "lib/net/service.h"

int main(int argc, char **argv)
{
	static struct broker_config config;
	struct errinfo err;
	enum config_action action;

	config_init(broker_config_spec(), &config);
	if (config_parse_args(broker_config_spec(), &config, argc, argv, &action, &err) != ST_OK)
		return service_fail("escrow-broker", &err);
	if (action == CONFIG_EXIT_OK)
		return 0;
	if (service_log_level(config.log_level, &err) != ST_OK ||
	    service_check_exposure(config.bind_address, config.allow_insecure, &err) != ST_OK ||
	    (config.metrics_exporter_type == METRICS_PROM &&
	     service_check_exposure(config.metrics_host, config.allow_insecure, &err) != ST_OK) ||
	    broker_config_finish(&config, &err) != ST_OK)
		return service_fail("escrow-broker", &err);
	return broker_run(&config, &err) == ST_OK ? 0 : service_fail("escrow-broker", &err);
}
