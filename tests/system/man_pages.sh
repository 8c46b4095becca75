#!/usr/bin/env bash
# Every verb has its page, and the tools that read such pages find nothing wrong with them.
set -euo pipefail
nodectl=$1/nodectl
pages=$(mktemp -d)
trap 'rm -rf "$pages"' EXIT
"$nodectl" __man "$pages"
[ -s "$pages/nodectl.1" ] || { echo "no page of nodectl itself"; exit 1; }
# The verbs that `nodectl completion` knows are those of the parser.
verbs=$("$nodectl" completion bash | sed -n "s/^    '\\(..*\\)') COMPREPLY.*/\\1/p")
[ "$(wc -l <<<"$verbs")" -gt 20 ] || { echo "too few verbs: $verbs"; exit 1; }
while read -r verb; do
  page="$pages/nodectl-${verb// /-}.1"
  [ -s "$page" ] || { echo "no page of $verb"; exit 1; }
  grep -q '^.SH \(EXAMPLES\|VERBS\)' "$page" || { echo "$verb: neither examples nor verbs"; exit 1; }
done <<<"$verbs"
checked=0
if command -v mandoc >/dev/null; then
  # References to pages that are not installed here, and pages younger than mandoc's list of systems.
  wrong=$(mandoc -T lint -W warning "$pages"/*.1 || true)
  [ -z "$wrong" ] || { echo "$wrong"; exit 1; }
  checked=1
fi
if command -v groff >/dev/null; then
  wrong=$(groff -man -ww -z "$pages"/*.1 2>&1)
  [ -z "$wrong" ] || { echo "$wrong"; exit 1; }
  checked=1
fi
[ $checked = 1 ] || { echo "neither mandoc nor groff is installed"; exit 77; }
