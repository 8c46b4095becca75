# What demo.sh does, a function a step: sourced, not run.

image_name() { printf 'basalt-%s-vm-amd64' "$1"; }
address_of() { printf '192.168.77.%s' "$1"; }
url() { printf 'http://%s:%s/%s' "$1" "$web_port" "$2"; }
fingerprint() { sed -n 's/.*fingerprint \([0-9a-f]\{64\}\).*/\1/p' "$(machine_console "$1")" | head -n 1; }
# NODE KIND-AND-NAME FIELD: one field of the JSON that nodectl prints; no other program is needed to read it.
field() { nodectl get $2 -n "$1" -o json 2>/dev/null | tr -d ' \n' | grep -o "\"$3\":\"\?[^,\"}]*" | head -n 1 | sed 's/^[^:]*:"\?//'; }
# Version and state of the slot that runs.
running_image() { nodectl slots -n "$1" 2>/dev/null | awk '$4 == "yes" {print $2, $3}'; }
# The apply is committed when the machine is as well as before; the loader is told to keep the image a moment later.
await_good() {  # NAME VERSION
  local i
  for i in $(seq 240); do [ "$(running_image "$1")" = "$2 good" ] && return 0; sleep 0.5; done
  fail "$1 does not run $2 for good: $(running_image "$1")"
}
# Of all that has ended (the file `times` of the shell) and of the machines.
cpu_seconds() {
  local n
  { awk 'NR == 2 {split($1, u, /[ms]/); split($2, s, /[ms]/); print u[1] * 60 + u[2] + s[1] * 60 + s[2]}' times
    for n in n1 n2; do awk '{print ($14 + $15) / 100}' "/proc/$(machine_pid $n)/stat"; done; } | awk '{all += $1} END {printf "%d", all}'
}

choose_k3s() {
  local release=${BASALT_DEMO_K3S_VERSION:-v1.30.4+k3s1} why probe=$work/probe
  memory_server=1024 memory_agent=640 disk=6G real=1
  if [ -n "${K3S_BINARY:-}" ]; then
    [ -x "$K3S_BINARY" ] || fail "K3S_BINARY=$K3S_BINARY is no program"
    cp "$K3S_BINARY" web/k3s
    k3s_version=$(web/k3s --version | sed -n '1s/.* version \([^ ]*\).*/\1/p')
    k3s_words="K3s is K3S_BINARY=$K3S_BINARY, $k3s_version."
    machine_kvm_works || k3s_words+=" Emulated it takes its time: count on half an hour, not on six minutes."
  elif ! machine_kvm_works; then why="a real one, emulated, takes too long; K3S_BINARY=PATH shows it all the same"
  elif timeout 10 noded-fetch 65536 0 5 "https://github.com/k3s-io/k3s/releases/download/${release/+/%2B}/sha256sum-amd64.txt" \
    3>"$probe" >/dev/null 2>&1; then
    k3s_version=$release k3s_words="K3s is the official release $release; the nodes download it."
  else why="the official release $release cannot be reached"; fi
  rm -f "$probe"
  if [ -z "${why:-}" ]; then memory_server=2048 memory_agent=1024 disk=10G k3s_end="K3s was real: $k3s_version."
  else
    real=0
    cp "$bin/k3s-double" web/k3s
    k3s_version=$(web/k3s --version | sed -n '1s/.* version \([^ ]*\).*/\1/p')
    k3s_words="K3s is the DOUBLE, a stand-in that behaves like K3s at start, join and stop, but runs no pods ($why)."
    k3s_end="K3s was the double."
  fi
}

# VERSION [broken]
build_image() {
  local programs=$bin from=$recipe out=$work/images/$1
  if [ "${2:-}" = broken ]; then
    # The same programs, but for the first process: this one wants other arguments, and ends.
    programs=$work/broken; mkdir -p "$programs"
    ln -sf "$bin"/{noded*,basalt-boot} "$programs"
    ln -sf "$bin/noded-fetch" "$programs/noded-init"
    # And a kernel that restarts a second after its panic: the ten of a real image, counted by an emulated
    # processor that has to share, can be a minute, three times.
    from=$work/broken-recipe; cp -r "$recipe" "$from"; chmod -R u+w "$from"
    sed -i 's/^argument panic=[0-9]*/argument panic=1/' "$from"/*.list
  fi
  run image-builder build --profile vm-amd64 --recipe "$from" --cache "$cache" --programs "$programs" --out "$out" \
    --image-version "$1" --trust lab/trust.json --key lab/keys/image.key || return 1
  # What nodes fetch of it.
  ln -sf "$out/$(image_name "$1")".{slot,efi,image.json} web/
}
await_builds() {
  [ -n "$builds" ] || return 0
  wait "$builds" || { cat "$work/builds.log" >&2; fail "an image was not built"; }
  builds=''
  show_output <"$work/builds.log"
}

# Python's own server: not a line of it is ours.
start_web() {
  python3 -u -m http.server 0 --bind 127.0.0.1 --directory web >web.log 2>&1 & echo $! >web.pid
  local i
  for i in $(seq 100); do
    web_port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' web.log | head -n 1)
    [ -z "$web_port" ] || return 0
    sleep 0.1
  done
  fail "no web server: $(cat web.log)"
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start_machine() {  # NAME NUMBER MEMORY
  machine_disk "$1" "$work/images/1.0.0/$(image_name 1.0.0).qcow2" "$disk"
  free_port >"$1/port"
  machine_start "$1" "$2" "$3" "$(cat "$1/port")"
  note "$1: QEMU pid $(machine_pid "$1"), $3 MiB, its API at 127.0.0.1:$(cat "$1/port")"
}
# A machine that stalls before its kernel says anything gets a second chance: without KVM and under load, one in fifty does.
await_node() {
  machine_await "$1" 120 'noded-init: ' || note "$1 is slow: its console is silent after two minutes"
  machine_await "$1" 240 'metal serves ' || fail "$1 does not serve"
  local i
  for i in $(seq 50); do [ -n "$(fingerprint "$1")" ] && return 0; sleep 0.1; done
  fail "$1 shows no fingerprint"
}
# Until it has an address, and so says whom its secrets are sealed to.
pin_node() {
  local pin=(nodectl pin "$1" --node "127.0.0.1:$(cat "$1/port")" --fingerprint "$(fingerprint "$1")") i
  shown "${pin[@]}"
  for i in $(seq 60); do
    if "${pin[@]}" >"$1/pin.log" 2>&1 && ! grep -q '^warning' "$1/pin.log"; then show_output <"$1/pin.log"; return 0; fi
    sleep 1
  done
  show_output <"$1/pin.log"; fail "$1 cannot be pinned"
}

# NAME NUMBER ROLE ARGUMENTS...: what a person would write with an editor is a patch here.
write_config() {
  local name=$1 number=$2 role=$3; shift 3
  run nodectl gen config --name "$name" --role "$role" "$@" -o "$name.yaml" || fail "no config for $name"
  if [ -f web/k3s ]; then run nodectl k3s pin -f "$name.yaml" --file web/k3s --version "$k3s_version" || fail "K3s was not pinned"
  else run nodectl k3s pin -f "$name.yaml" --version "$k3s_version" || fail "K3s was not pinned"; fi
  machine_patch "$number" >"$name.patch.yaml"
  note "What this machine has of its own, as an editor would leave it ($name.patch.yaml):"
  sed 's/^/         | /' "$name.patch.yaml"
  run nodectl patch -f "$name.yaml" -p "$name.patch.yaml" --in-place || fail "$name.yaml was not changed"
}
machine_patch() {
  cat <<END
system:
  time: {allowUnsynced: true, bootTimeout: 10s}   # no time server is near
network:
  interfaces:
    - {name: out0, match: {mac: "$(machine_mac "$1" 1)"}, dhcp4: true}
    - {name: lan0, match: {mac: "$(machine_mac "$1" 2)"}, addresses: [$(address_of "$1")/24]}
  firewall:
    policy: drop
    rules:
      - {name: nodectl, protocol: tcp, ports: [6050], interfaces: [out0]}
      - {name: kubernetes, protocol: tcp, ports: [6443, 10250], from: [192.168.77.0/24]}
      - {name: flannel, protocol: udp, ports: [8472], from: [192.168.77.0/24]}
k3s:
  node: {ipSubnet: 192.168.77.0/24}
END
  [ ! -f web/k3s ] || echo "  artifacts: {amd64: {urls: [\"$(url 10.0.2.2 k3s)\"]}}"
  [ $real -eq 0 ] || machine_kvm_works || echo "  health: {readyz: 15m, nodeReady: 20m, liveness: 10m}"
  [ $real -eq 0 ] || echo "  config:
    flannel-iface: lan0
$([ "$1" != 1 ] || echo "    disable: [coredns, servicelb, traefik, local-storage, metrics-server]")"
}

await_ready() {
  local i
  for i in $(seq 1200); do [ "$(field "$1" "k3sstatus k3s" ready)" = true ] && return 0; sleep 0.5; done
  fail "K3s on $1 did not come back"
}

how_to_go_on() {
  cat <<END

Both machines run on. To talk to them:
  export PATH=$bin:\$PATH NODECTL_CONTEXT=$work/lab/context.yaml
  nodectl status        nodectl describe n1        nodectl slots -n n1        nodectl upgrade --rollback -n n1
Their consoles: $work/n1/console.log, $work/n2/console.log
To end and forget them: kill $(machine_pid n1) $(machine_pid n2) $(cat web.pid); rm -r $work
END
}
