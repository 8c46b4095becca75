#!/usr/bin/env bash
# The figures of Basalt, each beside its floor in the same run.   run.sh BUILD_DIR
# Machines are noisy: read ratios and medians, not single times.
set -euo pipefail
build=$1; shift
here=$(dirname "$(readlink -f "$0")")
title() { printf '\n== %s\n' "$*"; }

title "Decode and validate 10 KB, beside yaml-cpp's own event pass"
"$build/bench/bench_config" --benchmark_repetitions=5 --benchmark_report_aggregates_only=true 2>/dev/null | grep -E 'median|Benchmark' || true
title "Verify a document, beside raw Ed25519"
"$build/bench/bench_sign" --benchmark_repetitions=5 --benchmark_report_aggregates_only=true 2>/dev/null | grep -E 'median|Benchmark' || true
title "A node: apply, re-send, restart, memory"
"$build/bench/bench_node" "$build/bin" "$@"
title "Binary sizes (stripped)"
for p in noded noded-init noded-fetch nodectl; do
  t=$(mktemp); strip -o "$t" "$build/bin/$p"; printf '%-12s %8d KiB\n' "$p" $(($(stat -c %s "$t") / 1024)); rm -f "$t"
done
