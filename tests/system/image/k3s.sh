#!/bin/bash
# K3s on the image, in QEMU: the double, from a signed config, to readiness; behind a firewall that drops, without STATE
# and the ESP in its view; the same process after noded was killed, and after a restart of K3s what it mounted.
# Arguments: directory of the programs, recipe, cache of packages, the lookout. Only in `./dev test --all`.
set -euo pipefail
programs=$(readlink -f "$1") recipe=$(readlink -f "$2") cache=$(readlink -f "$3") lookout=$(readlink -f "$4")
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
work=$(mktemp -d "${TMPDIR:-/tmp}/basalt-k3s-XXXXXX")
cd "$work"
. "$here/qemu.sh"
. "$here/lookout.sh"
end() { machine_stop n1 || true; kill "$(cat web.pid 2>/dev/null)" 2>/dev/null || true; cd /; rm -rf "$work"; }
trap end EXIT
fail() { echo "FAILED: $1"; machine_last_lines n1 20; exit 1; }
export PATH=$programs:$PATH NODECTL_CONTEXT=$work/lab/context.yaml
field() { nodectl get $1 -n n1 -o json 2>/dev/null | tr -d ' \n' | grep -o "\"$2\":\"\?[^,\"}]*" | head -n 1 | sed 's/^[^:]*:"\?//'; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

nodectl init lab --cluster home --no-passphrase >/dev/null 2>&1
lookout_image 9.9.9 || fail "no image"
mkdir web && cp "$programs/k3s-double" web/k3s
python3 -u -m http.server 0 --bind 127.0.0.1 --directory web >web.log 2>&1 & echo $! >web.pid
port=$(free_port) look_port=$(free_port)
machine_disk n1 "$work/out/basalt-9.9.9-vm-amd64.qcow2" 6G
machine_start n1 1 1024 "$port" "$look_port-:6066"
machine_await n1 300 'metal serves ' || fail "the node does not serve"
web_port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' web.log | head -n 1)
fingerprint=$(sed -n 's/.*fingerprint \([0-9a-f]\{64\}\).*/\1/p' "$(machine_console n1)" | head -n 1)
for i in $(seq 60); do
  nodectl pin n1 --node "127.0.0.1:$port" --fingerprint "$fingerprint" >pin.log 2>&1 && ! grep -q '^warning' pin.log && break
  [ "$i" -lt 60 ] || { cat pin.log; fail "it cannot be pinned"; }
  sleep 1
done
nodectl gen config --name n1 --role server -o n1.yaml 2>/dev/null
nodectl k3s pin -f n1.yaml --file web/k3s --version "$(web/k3s --version | sed -n '1s/.* version \([^ ]*\).*/\1/p')" >/dev/null
cat >more.yaml <<END
system: {time: {allowUnsynced: true, bootTimeout: 10s}}
network:
  interfaces:
    - {name: out0, match: {mac: "$(machine_mac 1 1)"}, dhcp4: true}
    - {name: lan0, match: {mac: "$(machine_mac 1 2)"}, addresses: [192.168.77.1/24]}
  firewall:
    policy: drop
    rules:
      - {name: nodectl, protocol: tcp, ports: [6050, 6066], interfaces: [out0]}
      - {name: kubernetes, protocol: tcp, ports: [6443, 10250], from: [192.168.77.0/24]}
k3s: {node: {ipSubnet: 192.168.77.0/24}, artifacts: {amd64: {urls: ["http://10.0.2.2:$web_port/k3s"]}}}
END
nodectl patch -f n1.yaml -p more.yaml --in-place >/dev/null 2>&1
nodectl apply -f n1.yaml --yes --timeout 10m >apply.log 2>&1 || { cat apply.log; fail "the config was not committed"; }
[ "$(field "k3sstatus k3s" ready)" = true ] || fail "K3s is not ready"
echo "ok: K3s is ready, behind a firewall that drops what it does not know"

pid=$(field "service k3s" pid)
look mounts "$pid" >mounts
[ -s mounts ] || fail "the lookout does not see K3s"
if grep -q ' /state ' mounts; then cat mounts; fail "K3s sees STATE"; fi
grep -q '^none /esp tmpfs ro' mounts || { cat mounts; fail "K3s sees the ESP"; }
for place in /data /var /etc/rancher; do grep -q " $place " mounts || { cat mounts; fail "K3s has no $place"; }; done
look mounts noded.real | grep -q ' /state ' || fail "noded lost STATE"
echo "ok: K3s has DATA and its own places, and neither STATE nor the ESP"

before=$(look pid noded.real)
look kill noded.real | grep -q "killed $before" || fail "noded was not killed"
for i in $(seq 240); do
  [ -n "$(field "service k3s" pid)" ] && break
  sleep 0.5
done
after=$(look pid noded.real)
[ -n "$after" ] && [ "$after" != "$before" ] || fail "noded was not replaced: $before, $after"
[ "$(field "service k3s" pid)" = "$pid" ] || fail "K3s was restarted: $pid became $(field "service k3s" pid)"
# The new noded looks for itself.
for i in $(seq 240); do
  [ "$(field "k3sstatus k3s" ready)" = true ] && break
  sleep 0.5
done
[ "$(field "k3sstatus k3s" ready)" = true ] || fail "K3s is not ready any more"
echo "ok: noded was killed with SIGKILL and is back (pid $before, $after); K3s still is pid $pid"
