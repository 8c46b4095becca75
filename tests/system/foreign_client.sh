#!/usr/bin/env bash
# Starts a node and lets foreign_client.py talk to it.   foreign_client.sh BIN_DIR API_DIR
set -euo pipefail
bin=$1 api=$2 here=$(dirname "$(readlink -f "$0")")
work=$(mktemp -d /tmp/basalt-foreign.XXXXXX)
init=
cleanup() {
  [ -z "$init" ] || { kill -TERM "$init" 2>/dev/null; wait "$init" 2>/dev/null; } || true
  rm -rf "$work"
}
trap cleanup EXIT
python=/usr/bin/python3  # Debian's, which has Debian's python3-grpcio
mkdir -p "$work/messages"
(cd "$api" && protoc -I . --python_out="$work/messages" basalt/v1/*.proto google/rpc/*.proto)
# google/ also is a package of python3-protobuf: let ours extend it.
"$bin/nodectl" init "$work/lab" --cluster home --no-passphrase >/dev/null
"$bin/noded" serve --platform sandbox --root "$work/n1" --listen 127.0.0.1:0 --trust "$work/lab/trust.json" >"$work/log" 2>&1 &
init=$!
for _ in $(seq 100); do [ -s "$work/n1/run/endpoint" ] && break; sleep 0.1; done
"$python" "$here/foreign_client.py" "$(cat "$work/n1/run/endpoint")" "$(cat "$work/n1/run/fingerprint")" "$work/messages"
