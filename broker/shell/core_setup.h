/* What do the options mean for the core? Threads: pure. */
#ifndef ESCROW_SHELL_CORE_SETUP_H
#define ESCROW_SHELL_CORE_SETUP_H

#include "broker/core/core_config.h"
#include "broker/shell/broker_config.h"

/* Everything but store_port, which is known once the broker listens. Texts are borrowed. ST_INVALID names the option. */
enum status core_setup(const struct broker_config *config, struct core_config *out, struct errinfo *err) MUST_USE;

#endif
