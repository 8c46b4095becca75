#!/usr/bin/env bash
# `nodectl validate` as a process on a file of 10 KB, beside what else reads YAML of that size: Python's
# yaml.safe_load, and `cloud-init schema` on a cloud-config when it is installed. validate.sh BUILD_DIR
set -euo pipefail
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$build/bench/bench_config" --print-config >"$work/n1.yaml"
{
  echo '#cloud-config'
  echo 'write_files:'
  for i in $(seq 1 400); do
    [ "$(stat -c %s "$work/cloud.yaml" 2>/dev/null || echo 0)" -lt 10240 ] || break
    printf '  - path: /etc/file-%d\n    permissions: "0644"\n    content: value %d\n' "$i" "$i"
  done
} >"$work/cloud.yaml"
truncate -s 10240 "$work/cloud.yaml"
sed -i '$d' "$work/cloud.yaml"  # the line that was cut
# An entry that lost its end is no longer one.
/usr/bin/python3 - "$work/cloud.yaml" <<'PY'
import sys
text = open(sys.argv[1]).read()
open(sys.argv[1], "w").write(text[: text.rindex("  - path")])
PY

median() {  # of 15 runs, in microseconds
  local i start end
  for i in $(seq 15); do
    start=${EPOCHREALTIME/./}
    "$@" >/dev/null 2>"$work/err" || { cat "$work/err" >&2; echo "failed: $*" >&2; return 1; }
    end=${EPOCHREALTIME/./}
    echo $((end - start))
  done | sort -n | sed -n 8p
}
printf 'config %d bytes, cloud-config %d bytes\n' "$(stat -c %s "$work/n1.yaml")" "$(stat -c %s "$work/cloud.yaml")"
nodectl=$(median "$build/bin/nodectl" validate -f "$work/n1.yaml")
printf '%-28s %8d us\n' 'nodectl validate' "$nodectl"
line() { printf '%-28s %8d us   %s times nodectl\n' "$1" "$2" "$(awk "BEGIN{printf \"%.1f\", $2/$nodectl}")"; }
if /usr/bin/python3 -c 'import yaml' 2>/dev/null; then
  line 'python3 yaml.safe_load' "$(median /usr/bin/python3 -c 'import sys, yaml; yaml.safe_load(open(sys.argv[1]))' "$work/n1.yaml")"
else
  echo 'python3 yaml.safe_load       skipped: python3-yaml is not installed'
fi
if command -v cloud-init >/dev/null; then
  line 'cloud-init schema' "$(median cloud-init schema --config-file "$work/cloud.yaml")"
else
  echo 'cloud-init schema            skipped: cloud-init is not installed'
fi
