/* The address that this broker's messages carry, and with it every offset message id. Threads: the loop thread. */
#ifndef ESCROW_CORE_STORE_ADDRESS_H
#define ESCROW_CORE_STORE_ADDRESS_H

#include "broker/core/core.h"
#include "lib/wire/message.h"

struct host core_store_host(const struct core *core);

#endif
