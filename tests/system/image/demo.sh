#!/usr/bin/env bash
# The node image, from a build to a way back: two machines in QEMU start from it, become a K3s cluster by two signed
# configs, one is upgraded to a second image, and a third one that cannot become good is left by itself. A
# demonstration, and a test: what it claims is checked, and it ends with 1 when that does not hold.
# `./dev demo` installs, builds and calls it.
#
#   demo.sh --bin DIR --recipe DIR --cache DIR [--keep] [--dir DIR]
#
# K3S_BINARY=PATH: a real K3s. Else the official release where there is KVM and a network; else the double.
set -euo pipefail

bin='' recipe='' cache='' work='' keep=0
while [ $# -gt 0 ]; do
  case $1 in
    --bin) bin=$(readlink -f "${2:?}"); shift 2 ;;
    --recipe) recipe=$(readlink -f "${2:?}"); shift 2 ;;
    --cache) mkdir -p "${2:?}"; cache=$(readlink -f "$2"); shift 2 ;;
    --dir) work=${2:?}; shift 2 ;;
    --keep) keep=1; shift ;;
    *) echo "demo: unknown option $1 (known: --keep, --dir DIR, --sandbox)" >&2; exit 2 ;;
  esac
done
[ -x "$bin/noded" ] && [ -d "$recipe" ] && [ -d "$cache" ] || { echo "demo: started by ./dev demo" >&2; exit 2; }
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")

# It is removed at the end, so it must be ours alone.
if [ -z "$work" ]; then work=$(mktemp -d "${TMPDIR:-/tmp}/basalt-demo.XXXXXX")
elif [ -e "$work" ] && { [ ! -d "$work" ] || [ -n "$(ls -A "$work")" ]; }; then
  echo "demo: --dir $work is not an empty directory" >&2; exit 2
fi
mkdir -p "$work/web"; work=$(readlink -f "$work")
cd "$work"
export PATH=$bin:$PATH NODECTL_CONTEXT=$work/lab/context.yaml
. "$here/screen.sh"
. "$here/qemu.sh"
. "$here/demo_parts.sh"

cleanup() {
  local rc=$? p
  trap '' INT TERM; set +e
  # 130: somebody pressed Ctrl-C, and knows.
  if [ $rc -ne 0 ] && [ $rc -ne 130 ]; then { machine_last_lines n1; machine_last_lines n2; } >&2; fi
  [ -z "$builds" ] || kill "$builds" 2>/dev/null
  if [ $keep -eq 1 ]; then how_to_go_on
  else
    machine_stop n1; machine_stop n2
    p=$(cat "$work/web.pid" 2>/dev/null) && kill "$p" 2>/dev/null
    cd /; rm -rf "$work"
  fi
  exit $rc
}
builds=''
trap cleanup EXIT; trap 'exit 130' INT TERM

choose_k3s
echo "Two nodes in $(machine_kind)."
echo "$k3s_words"
echo "Times are minutes:seconds since the start."

title "1. The owner's keys and trust policy"
run nodectl init "$work/lab" --cluster home --no-passphrase || fail "no keys"
shown export "NODECTL_CONTEXT=$NODECTL_CONTEXT"

title "2. The node image, from Debian packages that a lock file pins; no root, no container"
build_image 1.0.0 || fail "the image was not built"
start_web
ok "version 1.0.0: the trust policy is on it, no key and no secret"

title "3. Two machines are switched on"
start_machine n1 1 "$memory_server"
start_machine n2 2 "$memory_agent"
# The second and the third image, while they start.
(stamp() { :; }; build_image 1.1.0 && build_image 1.2.0 broken) >"$work/builds.log" 2>&1 & builds=$!
for n in n1 n2; do
  await_node $n
  ok "$n serves: its console shows fingerprint $(fingerprint $n | cut -c 1-16)..."
done
for n in n1 n2; do pin_node $n; done
ok "both are pinned: a stranger in between would be noticed"

title "4. n1: a config is written, signed, and applied"
write_config n1 1 server
run nodectl sign -f n1.yaml -o n1.json || fail "n1.yaml was not signed"
watch=n1
run nodectl apply -f n1.json --yes --timeout 40m || fail "n1 was not committed"
[ "$(field n1 "k3sstatus k3s" ready)" = true ] || fail "K3s on n1 is not ready"
ok "K3s is ready on n1"

title "5. n2 joins it: its config has the hash of n1's certificate authority"
write_config n2 2 agent --server n1 --set "k3s.cluster.server=https://$(address_of 1):6443"
grep -q '^    caHash: ' n2.yaml || fail "the CA hash of n1 is not in the config of n2"
run nodectl sign -f n2.yaml -o n2.json || fail "n2.yaml was not signed"
watch=n2
run nodectl apply -f n2.json --yes --timeout 40m || fail "n2 was not committed"
[ "$(field n2 "k3sstatus k3s" ready)" = true ] || fail "K3s on n2 is not ready"
run nodectl status || fail "no status"
ok "K3s is ready on both"

title "6. n1 is upgraded to a second image: written beside the first, tried, kept"
await_builds
pid_n2=$(field n2 "service k3s" pid)
watch=n1
run nodectl upgrade -f n1.yaml --image "$(url 127.0.0.1 "$(image_name 1.1.0).image.json")" \
  --url "$(url 10.0.2.2 "$(image_name 1.1.0).image.json")" --yes --timeout 20m || fail "the upgrade was not committed"
await_good n1 1.1.0
run nodectl slots -n n1 || fail "no slots"
[ "$(field n1 "k3sstatus k3s" ready)" = true ] || fail "K3s on n1 is not ready"
ok "n1 runs 1.1.0, and K3s is ready on it"

title "7. A third image, broken on purpose: its first process ends at once"
note "Its signature is good, so the node takes it. Three tries, then the loader gives it up:"
refused image-fell-back -- nodectl upgrade -f n1.yaml --image "$(url 127.0.0.1 "$(image_name 1.2.0).image.json")" \
  --url "$(url 10.0.2.2 "$(image_name 1.2.0).image.json")" --yes --timeout 20m
grep -qa 'Attempted to kill init' "$(machine_console n1)" || fail "the third image was never tried"
run nodectl slots -n n1 || fail "no slots"
[ "$(running_image n1)" = "1.1.0 good" ] || fail "n1 does not run 1.1.0 but $(running_image n1)"
await_ready n1
ok "nobody touched it: n1 runs 1.1.0 again, and K3s is ready"

title "8. What happened to n1"
run nodectl history -n n1 || fail "no history"
run nodectl status || fail "no status"
await_ready n2
[ "$(field n2 "service k3s" pid)" = "$pid_n2" ] || fail "K3s of n2 was restarted"
ok "every generation, its signer and its end; n2 ran on all the while, its K3s still is pid $pid_n2"

times >times
echo
echo "$checks checks passed in $((SECONDS - started)) s; of the processor: $(cpu_seconds) s. $k3s_end"
