# Medians of the lines that escrow-bench --json wrote, by label and shape, in the order of their first appearance.
# floors: "label=floor-label ..." says which row a row is a share of; of: the title of that column.
# target, target_rate, target_mib: a row ("label shape") and what it is to reach.

function field(name,    at, rest) {
	at = index($0, "\"" name "\":")
	if (at == 0)
		return ""
	rest = substr($0, at + length(name) + 3)
	sub(/^"/, "", rest)
	sub(/[",}].*/, "", rest)
	return rest
}

function add(row, name,    value) {
	value = field(name)
	if (value != "")
		values[row, name, ++count[row, name]] = value + 0
}

function median(row, name,    n, i, j, t, sorted) {
	n = count[row, name]
	if (n == 0)
		return -1
	for (i = 1; i <= n; i++) {
		t = values[row, name, i]
		for (j = i - 1; j > 0 && sorted[j] > t; j--)
			sorted[j + 1] = sorted[j]
		sorted[j + 1] = t
	}
	return n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
}

function cell(format, value) {
	return value < 0 ? "-" : sprintf(format, value)
}

function share(rate, below) {
	if (below <= 0)
		return "-"
	if (rate > 2 * below)
		return sprintf("%.1fx", rate / below)
	return sprintf("%.0f%%", 100 * rate / below)
}

function verdict(rate, memory) {
	if (rate >= target_rate && memory < target_mib)
		return "met"
	return "MISSED"
}

{
	shape = field("connections") "x" field("window")
	if (field("offered") > 0)
		shape = field("offered") "/s"
	row = field("label") " " shape
	if (!(row in seen)) {
		seen[row] = 1
		rows[++row_count] = row
	}
	split("tx_per_s slowest_second tx_p50_us tx_p99_us tx_p999_us broker_cpu_us rss_peak_mib device_bytes generator_cpu_us",
	      names, " ")
	for (i in names)
		add(row, names[i])
	wrong[row] += field("failed") + field("unmatched") + field("wrong_identity") + field("unanswered")
}

END {
	n = split(floors, pairs, " ")
	for (i = 1; i <= n; i++) {
		split(pairs[i], pair, "=")
		floor_of[pair[1]] = pair[2]
	}
	printf "%-14s %8s %9s %9s %7s %8s %8s %8s %8s %8s %8s %7s %6s\n", "", "shape", "tx/s", "slowest s", of,
	       "p50 us", "p99 us", "p99.9", "CPU us", "peak MiB", "disk B", "gen us", "wrong"
	for (i = 1; i <= row_count; i++) {
		row = rows[i]
		split(row, parts, " ")
		below = median(floor_of[parts[1]] " " parts[2], "tx_per_s")
		rate = median(row, "tx_per_s")
		printf "%-14s %8s %9.0f %9.0f %7s %8.0f %8.0f %8.0f %8s %8s %8s %7.2f %6d\n", parts[1], parts[2], rate,
		       median(row, "slowest_second"), share(rate, below),
		       median(row, "tx_p50_us"), median(row, "tx_p99_us"), median(row, "tx_p999_us"),
		       cell("%.2f", median(row, "broker_cpu_us")), cell("%.0f", median(row, "rss_peak_mib")),
		       cell("%.0f", median(row, "device_bytes")), median(row, "generator_cpu_us"), wrong[row]
	}
	if (target != "") {
		rate = median(target, "tx_per_s")
		memory = median(target, "rss_peak_mib")
		printf "\n%s: %.0f transactions/s (target: at least %d), peak %.0f MiB resident (target: below %d): %s\n",
		       target, rate, target_rate, memory, target_mib, verdict(rate, memory)
	}
}
