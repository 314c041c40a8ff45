# Starting and stopping what is measured. Sourced by bench/run and bench/compare, which set: build, work.
# One server at a time; its process id is in $server.

server=

die() {
	echo "bench: $*" >&2
	exit 2
}

stop_server() {
	[ -n "$server" ] || return 0
	kill "$server" 2>/dev/null || true
	wait "$server" 2>/dev/null || true
	server=
}

# await_ready NAME SECONDS: until the server has printed its "ready" line.
await_ready() {
	tries=$(($2 * 10))
	until grep -q '^ready' "$work/$1.out" 2>/dev/null; do
		kill -0 "$server" 2>/dev/null || die "$1 ended while starting: $(tail -n 3 "$work/$1.err")"
		tries=$((tries - 1))
		[ $tries -gt 0 ] || die "$1 was not ready within $2 s: $(tail -n 3 "$work/$1.err")"
		sleep 0.1
	done
}

# start_floor PORT [LOGFILE]
start_floor() {
	"$build/floor" serve -p "$1" ${2:+-l "$2"} >"$work/floor.out" 2>"$work/floor.err" &
	server=$!
	await_ready floor 120
}

# start_broker PORT FLUSHDISKTYPE: EscrowMQ on an empty store.
start_broker() {
	rm -rf "$work/store"
	"$build/escrow-broker" -o listenPort="$1" -o flushDiskType="$2" -o storePathRootDir="$work/store" \
		-o brokerName=bench -o logLevel=warn ${broker_options:-} >"$work/broker.out" 2>"$work/broker.err" &
	server=$!
	await_ready broker 120
}

# measure LABEL PORT CONNECTIONS WINDOW SECONDS WARMUP [OPTION...]: one line of JSON more in results.jsonl. The options
# are escrow-bench's.
measure() {
	measured=$1 port=$2 connections=$3 window=$4 measure_seconds=$5 measure_warmup=$6
	shift 6
	"$build/escrow-bench" -b "127.0.0.1:$port" -c "$connections" -w "$window" -d "$measure_seconds" \
		-W "$measure_warmup" -p "$server" --store "$work" --label "$measured" --json "$@" >"$work/last.json" 2>"$work/bench.err" || {
		cat "$work/bench.err" "$work/last.json" >&2
		[ -s "$work/last.json" ] || die "$measured ${connections}x$window: no result"
		unclean=1
	}
	cat "$work/last.json" >>"$work/results.jsonl"
}

# summary "LABEL=FLOOR ..." ["LABEL SHAPE" TX_PER_S MIB]: medians of results.jsonl by label and shape, each as a share of
# its floor (named in the column ${of:-floor}), and whether the named row meets its target.
summary() {
	awk -v of="${of:-floor}" -v floors="$1" -v target="${2:-}" -v target_rate="${3:-0}" -v target_mib="${4:-0}" \
		-f "$(dirname "$0")/summary.awk" "$work/results.jsonl"
}
