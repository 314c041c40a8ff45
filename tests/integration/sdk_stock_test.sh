#!/bin/sh
# The SDK's suite against an unmodified RocketMQ from Maven Central (java and mvn are needed; without them: skipped).
set -u
command -v java >/dev/null && command -v mvn >/dev/null || { echo "skipped: needs java and maven"; exit 0; }
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/interop build=${ESCROW_BUILD:-build} cache=$root/build/interop
case $build in /*) ;; *) build=$root/$build ;; esac
. "$here/common.sh"
work=$(mktemp -d "$build/sdk-stock.XXXXXX") || exit 1
trap 'finish; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
start_stock "$work/stock" || exit 1
"$build/tests/integration/sdk_suite" "$namesrv" rocketmq
