#!/bin/sh
# The SDK's suite against our own name server and broker.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/interop build=${ESCROW_BUILD:-build} cache=$root/build/interop
case $build in /*) ;; *) build=$root/$build ;; esac
. "$here/common.sh"
work=$(mktemp -d "$build/sdk-escrow.XXXXXX") || exit 1
trap 'finish; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
start_escrow_namesrv "$work" && start_escrow_broker "$work" "$namesrv" || exit 1
"$build/tests/integration/sdk_suite" "$namesrv" escrow
