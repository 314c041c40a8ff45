# Shared by run and cross: builds the suites, starts and ends targets. Sourced; wants here, root, cache and build set.
java4=4.9.8
java5=5.4.0
suite=       # pid of the suite that runs
started=     # pids of our own programs
stock_dirs=  # folders of stock peers
namesrv=${namesrv:-}

# build_java VERSION: the suite and the client's jars, unless they are newer than the sources.
build_java() {
	dir=$cache/java-$1
	[ -f "$dir/.complete" ] && [ -z "$(find "$here/java" -newer "$dir/.complete" -type f | head -1)" ] && return 0
	exclude=none
	case $1 in 4.*) exclude='interop/five/**' ;; esac
	mvn -q -B -f "$here/java/pom.xml" "-Drocketmq.version=$1" "-Dinterop.exclude=$exclude" "-Dinterop.build=$dir" compile \
		dependency:copy-dependencies "-DoutputDirectory=$dir/lib" >&2 || return 1
	touch "$dir/.complete"
}

build_go() {
	mkdir -p "$cache/go"
	(cd "$here/go" && GOTOOLCHAIN=local GOFLAGS=-mod=mod go build -buildvcs=false -o "$cache/go/suite" .) >&2
}

# build_node: both Node clients, from the npm registry.
build_node() {
	[ -f "$cache/node/.complete" ] && [ -z "$(find "$here/node" -newer "$cache/node/.complete" -type f | head -1)" ] && return 0
	mkdir -p "$cache/node" && cp "$here"/node/*.js* "$cache/node/" &&
		npm install --prefix "$cache/node" --no-audit --no-fund --ignore-scripts --loglevel=error >&2 || return 1
	touch "$cache/node/.complete"
}

# build_python PACKAGE: a virtual environment with it. The two clients have one module name: they cannot share one.
build_python() {
	dir=$cache/python-${1%%=*}
	[ -f "$dir/.complete" ] && return 0
	python3 -m venv "$dir" && "$dir/bin/pip" install -q --disable-pip-version-check "$1" >&2 || return 1
	touch "$dir/.complete"
}

# start_proxy DIR NAMESRV: a stock mqproxy; sets endpoint.
start_proxy() {
	endpoint=127.0.0.1:$(free_port)
	stock_dirs="$stock_dirs $1"
	"$here/stock" proxy "$1" "$2" "${endpoint#*:}" "$(free_port)"
}

# supervise COMMAND...: runs it so that a signal to this script ends it at once.
supervise() {
	"$@" &
	suite=$!
	wait $suite
	status=$?
	suite=
	return $status
}

# run_java VERSION NAMESRV TARGET PATTERN [JVM_OPTION]...
run_java() {
	version=$1 at=$2 whose=$3 pattern=$4; shift 4
	# mqadmin leaves what consumers tell in the directory where it runs.
	mkdir -p "$cache/home"
	supervise env -C "$cache/home" java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx512m "-Duser.home=$cache/home" \
		"-Drocketmq.home.dir=$here/java/src/main/rocketmq-home" "$@" \
		-cp "$cache/java-$version/classes:$cache/java-$version/lib/*" interop.Main "$at" "$whose" "$pattern"
}

# A port whose neighbours -2, -1 and +1 are free, too: a stock broker takes them.
free_port() {
	while :; do
		port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 10000))
		free=yes
		for p in $((port - 2)) $((port - 1)) $port $((port + 1)); do
			grep -qi ":$(printf %04X $p) [0-9A-F:]* 0A" /proc/net/tcp /proc/net/tcp6 2>/dev/null && free=
		done
		[ -n "$free" ] && { echo $port; return; }
	done
}

# start_stock DIR [key=value]...: name server and broker; sets namesrv.
start_stock() {
	dir=$1; shift
	port=$(free_port)
	broker_port=$(free_port)
	stock_dirs="$stock_dirs $dir"
	"$here/stock" start "$dir" "$port" "$broker_port" "$@" || return 1
	namesrv=127.0.0.1:$port
}

# await_ready NAME PID OUTPUT: until it prints its line.
await_ready() {
	i=0
	until grep -q '^ready' "$3"; do
		kill -0 "$2" 2>/dev/null || { echo "$1 ended:" >&2; tail -5 "$3.err" >&2; return 1; }
		i=$((i + 1))
		[ $i -lt 200 ] || { echo "$1 not ready after 20 s" >&2; return 1; }
		sleep 0.1
	done
}

# start_escrow_namesrv DIR: sets namesrv.
start_escrow_namesrv() {
	port=$(free_port)
	: > "$1/namesrv.out"
	"$build/escrow-namesrv" -o "listenPort=$port" > "$1/namesrv.out" 2> "$1/namesrv.out.err" &
	started="$started $!"
	await_ready escrow-namesrv $! "$1/namesrv.out" || return 1
	namesrv=127.0.0.1:$port
}

# start_escrow_broker DIR NAMESRV [key=value]...
start_escrow_broker() {
	dir=$1 at=$2; shift 2
	: > "$dir/broker.out"
	set -- "listenPort=$(free_port)" "namesrvAddr=$at" "storePathRootDir=$dir/store" brokerName=broker-a \
		transactionTimeOut=2000 transactionCheckInterval=2000 mappedFileSizeCommitLog=67108864 "$@"
	for pair in "$@"; do
		set -- "$@" -o "$pair"
		shift
	done
	"$build/escrow-broker" "$@" > "$dir/broker.out" 2> "$dir/broker.out.err" &
	started="$started $!"
	await_ready escrow-broker $! "$dir/broker.out"
}

# finish: ends what was started, the newest first.
finish() {
	[ -n "$suite" ] && kill "$suite" 2>/dev/null
	order=
	for pid in $started; do order="$pid $order"; done
	for pid in $order; do
		kill "$pid" 2>/dev/null
		i=0
		while kill -0 "$pid" 2>/dev/null && [ $i -lt 50 ]; do i=$((i + 1)); sleep 0.1; done
		kill -9 "$pid" 2>/dev/null
	done
	for dir in $stock_dirs; do "$here/stock" stop "$dir"; done
	started= stock_dirs=
}

# count LOG STATUS: adds a suite's totals to passed and failed and prints what failed.
count() {
	grep -E '^(PASS|FAIL|SKIP|INFO) ' "$1"
	p=$(grep -c '^PASS ' "$1")
	f=$(grep -c '^FAIL ' "$1")
	if [ "$f" -eq 0 ] && { [ "$2" -ne 0 ] || [ "$p" -eq 0 ]; }; then
		tail -20 "$1"
		echo "FAIL the whole suite ended with status $2, after $p passed"
		f=1
	fi
	passed=$((passed + p)) failed=$((failed + f))
}
