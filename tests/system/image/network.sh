#!/bin/bash
# The whole node in QEMU, reached over its own network: a config with a static address and every kind of link is
# applied by nodectl and kept over a power cut; one that cuts the node off comes back by itself.
# Arguments: directory of the programs, recipe, cache of packages. Only in `./dev test --all`.
set -euo pipefail
programs=$1 recipe=$2 cache=$3
work=$(mktemp -d "${TMPDIR:-/tmp}/basalt-network-XXXXXX")
qemu=
end() { [ -n "$qemu" ] && kill -KILL "$qemu" 2>/dev/null; rm -rf "$work"; }
trap end EXIT
fail() { echo "FAILED: $1"; tail -n 20 "$work/console.log" 2>/dev/null; exit 1; }

cd "$work"
port=$((20000 + $$ % 20000))
export PATH=$programs:$PATH NODECTL_CONTEXT=$work/lab/context.yaml
nodectl init lab --cluster home --no-passphrase >/dev/null 2>&1
# The size of the image is another test's business.
cp -r "$recipe" recipe && sed -i 's/^budget .*/budget 60000000 # of the test/' recipe/vm-amd64.profile
image-builder build --profile vm-amd64 --recipe recipe --cache "$cache" --programs "$programs" --out out \
  --image-version 9.9.9 --time 1700000000 --trust lab/trust.json >/dev/null
cp /usr/share/OVMF/OVMF_VARS_4M.fd variables.fd

boot() {
  qemu-system-x86_64 -nodefaults -no-user-config -display none -accel tcg,thread=multi -machine q35 -m 768 -smp 1 \
    -netdev "user,id=n0,net=10.0.2.0/24,hostfwd=tcp:127.0.0.1:$port-10.0.2.15:6050" \
    -device virtio-net-pci,netdev=n0,mac=52:54:00:12:34:56 -serial file:console.log \
    -drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
    -drive if=pflash,unit=1,format=raw,file=variables.fd \
    -drive file=out/basalt-9.9.9-vm-amd64.raw,format=raw,if=none,id=disk,cache=unsafe \
    -device virtio-blk-pci,drive=disk,bootindex=1 &
  qemu=$!
  for _ in $(seq 240); do
    grep -qs 'metal serves' console.log && return
    sleep 0.5
  done
  fail "the node does not serve"
}
answers() { for _ in $(seq 120); do nodectl status -n n1 2>/dev/null | grep -q "$1" && return; sleep 0.5; done; return 1; }

boot
fingerprint=$(sed -n 's/.*fingerprint \([0-9a-f]\{64\}\).*/\1/p' console.log | head -n 1)
# Without a config it asked for an address: it can be pinned.
for i in $(seq 60); do
  nodectl pin n1 --node "127.0.0.1:$port" --fingerprint "$fingerprint" >/dev/null 2>&1 && break
  [ "$i" -lt 60 ] || fail "no address without a config"
  sleep 0.5
done
nodectl gen config --name n1 --role server 2>/dev/null | sed '/^k3s:/,$d' >base.yaml
config() { # ADDRESS
  cat base.yaml
  cat <<EOF
system: {time: {allowUnsynced: true}} # nobody here to ask
network:
  interfaces:
    - name: lan0
      match: {mac: "52:54:00:12:34:56"}
      addresses: [$1/24]
      acceptRa: false
      routes: [{to: default, via: 10.0.2.2}]
    - {name: lan0.20, vlan: {link: lan0, id: 20}, addresses: [10.20.0.1/24]}
    - {name: lan0.30, vlan: {link: lan0, id: 30}}
    - {name: bond0, bond: {members: [lan0.30]}, addresses: [10.30.0.1/24]}
    - {name: lan0.40, vlan: {link: lan0, id: 40}}
    - {name: br0, bridge: {members: [lan0.40], vlanFiltering: true, vlans: [40]}, addresses: [10.40.0.1/24]}
    - name: wg0
      addresses: [10.8.0.1/24]
      wireguard:
        listenPort: 51900
        peers: [{name: office, publicKey: xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=, endpoint: "192.0.2.1:51820", allowedIps: [10.8.0.2/32]}]
  dns: {servers: [10.0.2.3]}
  firewall:
    policy: drop
    closed: [k3s]
    rules:
      - {name: api, protocol: tcp, ports: [6050], interfaces: [lan0]}
      - {name: wireguard, protocol: udp, ports: [51900]}
EOF
}
config 10.0.2.15 >good.yaml
nodectl apply -f good.yaml -n n1 --yes --timeout 5m >apply.log 2>&1 || { cat apply.log; fail "the static config was not committed"; }
nodectl get link -n n1 -o json >links.json
for text in lan0.20 bond0 br0 wg0 10.20.0.1/24 10.30.0.1/24 publicKey; do
  grep -q "$text" links.json || { cat links.json; fail "no $text among the links"; }
done
echo "ok: a static address, a VLAN, a bond, a bridge, WireGuard and a firewall are applied"

config 10.0.2.77 >cut.yaml # what is forwarded to the machine goes to another address
nodectl apply -f cut.yaml -n n1 --yes --timeout 5m >cut.log 2>&1 && fail "a config that cuts the node off was committed"
answers running || fail "the node is not reached again"
nodectl history -n n1 | grep -q 'reverted.*nobody came back' || { nodectl history -n n1; fail "it was not reverted"; }
echo "ok: a config that cuts the node off comes back by itself"

kill -KILL "$qemu"; wait "$qemu" 2>/dev/null || true
: >console.log
boot
answers running || fail "the config did not survive the power cut"
nodectl get link lan0 -n n1 -o json | grep -q 10.0.2.15/24 || fail "the address did not survive the power cut"
nodectl get service -n n1 | grep -q '^dhcp' && fail "a node with a static address asks for one"
echo "ok: after a power cut the network is as the config says"
