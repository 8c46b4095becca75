#!/usr/bin/env bash
# The demonstration, and a system test: every line that it claims is checked, and it ends with 1 when one
# does not hold. `./dev demo --sandbox` builds and calls it.
#
#   demo.sh --bin DIR [--double] [--keep] [--dir DIR]
set -euo pipefail

bin='' keep=0 double=0 work='' pause=${BASALT_DEMO_PAUSE:-0}
while [ $# -gt 0 ]; do
  case $1 in
    --bin|--dir)
      [ $# -ge 2 ] || { echo "demo: $1 wants a directory" >&2; exit 2; }
      if [ "$1" = --bin ]; then bin=$(readlink -f "$2"); else work=$2; fi
      shift 2 ;;
    --keep) keep=1; shift ;;
    --double) double=1; shift ;;
    *) echo "demo: unknown option $1 (known: --double, --keep, --dir DIR)" >&2; exit 2 ;;
  esac
done
[ -x "$bin/noded" ] || { echo "demo: no programs in ${bin:---bin}: run ./dev build release" >&2; exit 2; }
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/namespaces.sh"

# It is removed at the end, so it must be ours alone.
if [ -z "$work" ]; then work=$(mktemp -d "${TMPDIR:-/tmp}/basalt-demo.XXXXXX")
elif [ -e "$work" ] && { [ ! -d "$work" ] || [ -n "$(ls -A "$work")" ]; }; then
  echo "demo: --dir $work is not an empty directory" >&2; exit 2
fi
mkdir -p "$work"; work=$(readlink -f "$work")
lab=$work/lab
export PATH=$bin:$PATH NODECTL_CONTEXT=$lab/context.yaml
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then b=$'\033[1m' g=$'\033[32m' d=$'\033[2m' o=$'\033[0m'; else b='' g='' d='' o=''; fi

steps=0 started=$(date +%s)
title() { printf '\n%s%s%s\n' "$b" "$*" "$o"; sleep "$pause"; }
ok() { steps=$((steps + 1)); printf '%s  ok%s %s\n' "$g" "$o" "$*"; }
fail() { printf '\ndemo: FAILED: %s\n' "$*" >&2; exit 1; }
# Shows the command as a person would type it and runs it where nodectl stands.
run() { printf '%s  $ %s%s\n' "$d" "$*" "$o"; ctl "$@" 2>&1 | sed 's/^/    /'; return "${PIPESTATUS[0]}"; }
# The same with the output in a file, as the shell's > does it.
run_to() { local file=$1; shift; printf '%s  $ %s > %s%s\n' "$d" "$*" "$file" "$o"; ctl "$@" >"$file"; }
ctl() { if [ $real -eq 1 ]; then ns_hub "$@"; else "$@"; fi; }
# WORDS... -- COMMAND...: the command must fail, and say each of the words.
refused() {
  local words=() out rc=0 w
  while [ "$1" != -- ]; do words+=("$1"); shift; done; shift
  printf '%s  $ %s%s\n' "$d" "$*" "$o"
  out=$(ctl "$@" 2>&1) || rc=$?
  printf '%s\n' "$out" | sed 's/^/    /'
  [ $rc -ne 0 ] || fail "this was accepted: $*"
  for w in "${words[@]}"; do case $out in *"$w"*) ;; *) fail "the refusal does not say '$w'" ;; esac; done
}
# NODE KIND FIELD: one field of the JSON that nodectl prints; no other program is needed to read it.
field() { ctl nodectl get $2 -n "$1" -o json 2>/dev/null | tr -d ' \n' | grep -o "\"$3\":\"\?[^,\"}]*" | head -n 1 | sed 's/^[^:]*:"\?//'; }

pids=()
stop_node() {  # NAME
  if [ $real -eq 1 ]; then ns_stop_node "$1" "$work/$1"; return; fi
  local pid; pid=$(cat "$work/$1/init.pid" 2>/dev/null) || return 0
  kill -TERM "$pid" 2>/dev/null || return 0
  local i; for i in $(seq 200); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
  kill -KILL "$pid" 2>/dev/null || true
}
cleanup() {
  local rc=$?
  trap '' INT TERM; set +e
  # 130: somebody pressed Ctrl-C, and knows.
  if [ $rc -ne 0 ] && [ $rc -ne 130 ]; then for n in n1 n2; do [ -f "$work/$n/noded.log" ] && { echo "--- the last lines of $n:"; tail -n 15 "$work/$n/noded.log"; }; done >&2; fi
  if [ $keep -eq 1 ]; then
    echo "kept: $work (export NODECTL_CONTEXT=$lab/context.yaml; end the nodes with: kill $(cat "$work"/*/init.pid "$work"/*/unshare.pid 2>/dev/null | tr '\n' ' '))"
  else
    stop_node n2; stop_node n1
    [ $real -eq 1 ] && ns_down n1 n2
    rm -rf "$work"
  fi
  exit $rc
}
real=0
trap cleanup EXIT; trap 'exit 130' INT TERM

# ---- which K3s -------------------------------------------------------------------------------------
k3s_pin=()
if [ $double -eq 1 ]; then why="--double"
elif [ "$(id -u)" -ne 0 ]; then why="not root: a real K3s needs root"
elif [ -n "${K3S_BINARY:-}" ]; then
  [ -x "$K3S_BINARY" ] || fail "K3S_BINARY=$K3S_BINARY is no program"
  real=1; k3s_pin=(--file "$(readlink -f "$K3S_BINARY")" --version "$("$K3S_BINARY" --version | sed -n '1s/.* version \([^ ]*\).*/\1/p')")
else
  release=${BASALT_DEMO_K3S_VERSION:-v1.30.4+k3s1}
  probe=$(mktemp)
  if timeout 10 noded-fetch 65536 0 5 "https://github.com/k3s-io/k3s/releases/download/${release/+/%2B}/sha256sum-amd64.txt" 3>"$probe" >/dev/null 2>&1; then
    real=1; k3s_pin=(--version "$release")
  else why="the official release $release cannot be reached"
  fi
  rm -f "$probe"
fi
if [ $real -eq 1 ]; then
  echo "Two nodes, each in namespaces of its own, with a real K3s: ${k3s_pin[*]}"
  address_n1=10.99.0.1 address_n2=10.99.0.2
else
  echo "Two nodes on this machine, with the K3s DOUBLE: a stand-in that behaves like K3s at start, join and stop,"
  echo "but runs no pods ($why)."
  k3s_pin=(--file "$bin/k3s-double" --version "$("$bin/k3s-double" --version | sed -n '1s/.* version \([^ ]*\).*/\1/p')")
  third=$((RANDOM % 250 + 1))
  address_n1=127.88.$third.1 address_n2=127.88.$third.2
fi

start_node() {  # NAME ADDRESS
  local name=$1 dir=$work/$1
  mkdir -p "$dir"
  local serve=(noded serve --platform sandbox --root "$dir" --listen "$2:0" --trust "$lab/trust.json")
  printf '%s  $ %s%s\n' "$d" "${serve[*]}" "$o"
  if [ $real -eq 1 ]; then ns_add_node "$name" "$2" "$dir"; ns_start "$name" "$dir" "$bin/noded" "${serve[@]:1}"
  else "${serve[@]}" </dev/null >"$dir/noded.log" 2>&1 & echo $! >"$dir/init.pid"; fi
  local i; for i in $(seq 100); do [ -s "$dir/run/endpoint" ] && return 0; sleep 0.1; done
  cat "$dir/noded.log" >&2; fail "$name does not listen"
}
# The pid of a process of a node, as kill here needs it.
outer_pid() {  # NAME PID
  if [ $real -eq 0 ]; then echo "$2"; return; fi
  local p; for p in /proc/[0-9]*; do
    [ "$(awk '/^NSpid:/{print $NF, NF}' "$p/status" 2>/dev/null)" = "$2 3" ] || continue
    [ "$(readlink "$p/ns/pid")" = "$(readlink "/proc/$(ns_inner_pid "$work/$1")/ns/pid")" ] && { basename "$p"; return; }
  done
}

# FILE REASON LINE...: the file as an editor would leave it, with a reason and more lines below `k3s:`.
edit() {
  local file=$1 reason=$2 line; shift 2
  printf '%s  (an editor adds to n1.yaml: reason: %s;%s)%s\n' "$d" "$reason" "$(printf ' k3s: %s;' "$@")" "$o" >&2
  while IFS= read -r line; do
    printf '%s\n' "$line"
    case $line in
      metadata:*) printf '  reason: %s\n' "$reason" ;;
      k3s:*) printf '  %s\n' "$@" ;;
    esac
  done <"$file"
}
# A line more below `k3s.config:`, which is made where it is absent.
add_config() {
  local text; text=$(cat)
  if grep -q '^  config:' <<<"$text"; then sed "/^  config:/a\\    $1" <<<"$text"
  else sed "/^k3s:/a\\  config:\n    $1" <<<"$text"; fi
}

if [ $real -eq 1 ]; then ns_up; fi

# ---- the story -------------------------------------------------------------------------------------
title "1. Keys, trust, and an inventory"
run nodectl init "$lab" --cluster home --no-passphrase
ok "keys and trust made; only what these keys sign will be obeyed"

title "2. Two nodes start; they know the trust chain and obey nothing yet"
start_node n1 $address_n1
start_node n2 $address_n2
for n in n1 n2; do
  run nodectl pin $n --node "$(cat "$work/$n/run/endpoint")" --fingerprint "$(cat "$work/$n/run/fingerprint")"
done
grep -q '^    recipient: age1' "$lab/inventory.yaml" || fail "the recipient of n1 is not in the inventory"
ok "both pinned by fingerprint; the inventory knows whom their secrets are sealed to"

common=()
if [ $real -eq 1 ]; then
  common=(--set 'k3s.config.disable=[coredns, servicelb, traefik, local-storage, metrics-server]')
  kubelet=(--set 'k3s.config.kube-proxy-arg=[conntrack-max-per-core=0]')
else kubelet=(); fi

title "3. A config is written, signed and applied: n1 becomes a K3s server"
run_to "$work/n1.yaml" nodectl gen config --name n1 --role server "${common[@]}" "${kubelet[@]}" 2>/dev/null
run nodectl k3s pin -f "$work/n1.yaml" "${k3s_pin[@]}"
run nodectl validate -f "$work/n1.yaml"
run nodectl sign -f "$work/n1.yaml" -o "$work/n1.json"
run nodectl verify -f "$work/n1.json" --trust "$lab/trust.json"
[ "$(grep -c '!sealed' "$work/n1.yaml")" = 3 ] || fail "the secrets of n1.yaml are not sealed"
token=$(ctl nodectl unseal -f "$work/n1.yaml" k3s.token)
run nodectl apply -f "$work/n1.json" --yes --timeout 5m || fail "n1 was not committed"
[ "$(field n1 k3sstatus ready)" = true ] || fail "K3s on n1 is not ready"
! grep -rqsF "$token" "$work/n1.yaml" "$work/n1.json" "$lab" "$work/n1/state" || fail "a token stands in the clear"
ok "K3s is ready on n1; its token stands in the clear in no file but those that K3s reads"

title "4. n2 joins as an agent: URL, token and CA hash come from the inventory and from n1"
run_to "$work/n2.yaml" nodectl gen config --name n2 --role agent --server n1 "${kubelet[@]}" 2>/dev/null
grep -q '^    caHash: ' "$work/n2.yaml" || fail "the CA hash of n1 is not in the config of n2"
run nodectl k3s pin -f "$work/n2.yaml" "${k3s_pin[@]}"
run nodectl apply -f "$work/n2.yaml" --yes --timeout 5m || fail "n2 was not committed"
[ "$(field n2 k3sstatus ready)" = true ] || fail "K3s on n2 is not ready"
ok "K3s is ready on n2"

title "5. What runs"
run nodectl status
ok "server and agent are ready"

title "6. A change: planned, then applied"
edit "$work/n1.yaml" 'OPS-142 label the site' 'node: {labels: {site: lab}}' >"$work/n1-next.yaml"
run nodectl plan -f "$work/n1-next.yaml" -n n1
pid_before=$(field n1 "service k3s" pid)
run nodectl apply -f "$work/n1-next.yaml" --yes
[ "$(field n1 "service k3s" pid)" = "$pid_before" ] || fail "a label restarted K3s"
ok "committed, and K3s kept its pid $pid_before: a label is a live change"

title "7. One byte of a signed document is changed"
nodectl_edit() { sed 's/"payload": *"\(.\{40\}\)./"payload": "\1A/' "$1"; }
nodectl_edit "$work/n1.json" >"$work/edited.json"
cmp -s "$work/n1.json" "$work/edited.json" && sed 's/"payload": *"\(.\{40\}\)./"payload": "\1B/' "$work/n1.json" >"$work/edited.json"
refused "bad-signature" -- nodectl apply -f "$work/edited.json" -n n1 --yes
ok "refused"

title "8. A config that was signed for n2 is sent to n1"
ctl nodectl sign -f "$work/n2.yaml" -o "$work/n2.json" >/dev/null 2>&1
refused "wrong-target" "$(cat "$work/n1/run/fingerprint")" "$(cat "$work/n2/run/fingerprint")" -- nodectl apply -f "$work/n2.json" -n n1 --yes
ok "refused, with both ids"

title "9. A misspelt key"
sed 's/^  version: /  verison: /' "$work/n1.yaml" >"$work/typo.yaml"
refused "did you mean" -- nodectl validate -f "$work/typo.yaml"
ok "named, with its line and what was meant"

title "10. A bad config comes back by itself"
edit "$work/n1.yaml" 'a mistake' 'node: {labels: {site: lab}}' 'health: {readyz: 40s, nodeReady: 45s}' |
  add_config 'kube-apiserver-arg: [no-such-flag=1]' >"$work/n1-bad.yaml"
refused "reverted" -- nodectl apply -f "$work/n1-bad.yaml" --yes --timeout 5m
for i in $(seq 1200); do [ "$(field n1 k3sstatus ready)" = true ] && break; sleep 0.1; done
[ "$(field n1 k3sstatus ready)" = true ] || fail "K3s on n1 did not come back"
ok "the last good config runs again, and K3s is ready"

title "11. noded is killed; K3s does not notice"
pid_before=$(field n1 "service k3s" pid)
noded_before=$(cat "$work/n1/run/noded.pid")
printf '%s  $ kill -9 %s%s\n' "$d" "$noded_before" "$o"
kill -9 "$(outer_pid n1 "$noded_before")"
for i in $(seq 100); do [ "$(cat "$work/n1/run/noded.pid")" != "$noded_before" ] && [ -n "$(field n1 "service k3s" pid)" ] && break; sleep 0.1; done
[ "$(cat "$work/n1/run/noded.pid")" != "$noded_before" ] || fail "noded did not come back"
[ "$(field n1 "service k3s" pid)" = "$pid_before" ] || fail "K3s was restarted: $pid_before became $(field n1 "service k3s" pid)"
ok "noded is back as pid $(cat "$work/n1/run/noded.pid"), K3s still is pid $pid_before"

title "12. What happened to n1"
run nodectl history -n n1
ok "every generation, its signer, its reason and its end"

cat <<END

$steps of 12 steps passed in $(($(date +%s) - started)) s.$([ $real -eq 0 ] && echo " K3s was the double.")

Your own first node:
  ./dev build release && export PATH=$(cd "$here/../.." && pwd)/.build/release/bin:\$PATH
  nodectl init lab --cluster home && export NODECTL_CONTEXT=\$PWD/lab/context.yaml
  noded serve --platform sandbox --root ~/n1 --listen 127.0.0.1:0 --trust lab/trust.json &
  sleep 1                                                # it writes ~/n1/run/{endpoint,fingerprint}
  nodectl pin n1 --node "\$(cat ~/n1/run/endpoint)" --fingerprint "\$(cat ~/n1/run/fingerprint)"
  nodectl gen config --name n1 --role server > n1.yaml
  nodectl k3s pin -f n1.yaml --version v1.30.4+k3s1      # or --file PATH of a K3s binary
  nodectl apply -f n1.yaml
  nodectl status
END
