#!/usr/bin/env bash
# The figures of Basalt, each beside its floor in the same run.   run.sh BUILD_DIR
# Machines are noisy: read ratios and medians, not single times.
set -euo pipefail
build=$1; shift
here=$(dirname "$(readlink -f "$0")")
# A program that crashes, or prints no figure, is a failure: its own words are shown then.
medians() {
  local err; err=$(mktemp)
  "$build/bench/$1" --benchmark_repetitions=5 --benchmark_report_aggregates_only=true 2>"$err" | grep -E 'median|Benchmark' ||
    { cat "$err" >&2; rm -f "$err"; echo "$1 failed" >&2; return 1; }
  rm -f "$err"
}
title() { printf '\n== %s\n' "$*"; }

title "Decode and validate 10 KB, beside yaml-cpp's own event pass; the JSON Schema, beside its writing"
medians bench_config
title "nodectl validate as a process on 10 KB, beside other readers of YAML"
bash "$here/validate.sh" "$build"
title "Verify a document in each scheme, beside raw Ed25519; sign 5,000 files, beside hashing them and beside a signature each"
medians bench_sign
title "Seal and open a secret, beside raw X25519 and ChaCha20-Poly1305"
medians bench_seal
title "A node: apply, re-send, restart, memory"
"$build/bench/bench_node" "$build/bin" "$@"
title "Binary sizes (stripped)"
for p in noded noded-init noded-fetch nodectl; do
  t=$(mktemp); strip -o "$t" "$build/bin/$p"; printf '%-12s %8d KiB\n' "$p" $(($(stat -c %s "$t") / 1024)); rm -f "$t"
done
