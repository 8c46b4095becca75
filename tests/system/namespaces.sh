# Sourced by demo.sh: nodes in namespaces of their own, for a real K3s (root only).
#
# A hub network namespace holds a bridge without an uplink; every node has its own network, mount, uts,
# ipc, pid and cgroup namespace and one veth to the hub. Nothing leaves the machine, and the machine-wide
# sysctls that a kubelet writes are hidden behind files of the node. All of it goes away with ns_down.

ns_hub_address=10.99.0.254
ns_prefix=basalt-$$
ns_had_netns_mount=0

# The v1 controllers and this process's path in each ("memory /user/x"); nothing where only v2 is mounted.
ns_controllers() { awk -F: '$2!=""{print $2" "$3}' /proc/self/cgroup; }

ns_up() {
  mountpoint -q /run/netns && ns_had_netns_mount=1
  ip netns add "$ns_prefix-hub"
  ip -n "$ns_prefix-hub" link set lo up
  ip -n "$ns_prefix-hub" link add br0 type bridge
  ip -n "$ns_prefix-hub" addr add "$ns_hub_address/24" dev br0
  ip -n "$ns_prefix-hub" link set br0 up
}

# Runs a command in the hub: where nodectl stands.
ns_hub() { nsenter --net="/run/netns/$ns_prefix-hub" -- "$@"; }

# NAME ADDRESS DIR: network, directories and cgroups of a node.
ns_add_node() {
  local name=$1 address=$2 dir=$3 c path cg
  ip netns add "$ns_prefix-$name"
  ip -n "$ns_prefix-hub" link add "v-$name" type veth peer name eth0 netns "$ns_prefix-$name"
  ip -n "$ns_prefix-hub" link set "v-$name" master br0 up
  ip -n "$ns_prefix-$name" link set lo up
  ip -n "$ns_prefix-$name" addr add "$address/24" dev eth0
  ip -n "$ns_prefix-$name" link set eth0 up
  # K3s wants a default route to find its address; this one goes nowhere.
  ip -n "$ns_prefix-$name" route add default via "$ns_hub_address"
  mkdir -p "$dir/etc/rancher" "$dir/sysctl" "$dir/private/kubelet" "$dir/private/cni" "$dir/private/log"
}

# NAME DIR NODED ARGUMENTS...: noded as PID 1's child of the node's namespaces, which it is told are its own; the
# output goes to DIR/noded.log.
ns_start() {
  local name=$1 dir=$2; shift 2
  (
    while read -r c path; do
      cg=/sys/fs/cgroup/${c#name=}${path%/}/$ns_prefix-$name
      mkdir -p "$cg" 2>/dev/null || continue
      if [ "$c" = cpuset ]; then
        for f in cpus mems; do cat "$(dirname "$cg")/cpuset.$f" >"$cg/cpuset.$f"; done
      fi
      echo "$BASHPID" >"$cg/cgroup.procs" 2>/dev/null || true
    done < <(ns_controllers)
    exec nsenter --net="/run/netns/$ns_prefix-$name" \
      unshare --mount --uts --ipc --pid --fork --cgroup --mount-proc --kill-child=SIGKILL \
      bash -c '. "$1"; shift; ns_inside "$@"' basalt-node "${BASH_SOURCE[0]}" "$name" "$dir" "$@" --own-namespaces
  ) </dev/null >"$dir/noded.log" 2>&1 &
  echo $! >"$dir/unshare.pid"
}

# Inside, as PID 1.
ns_inside() {
  local name=$1 dir=$2 c kv f; shift 2
  hostname "$name"
  mount --make-rshared /
  mount -t sysfs sysfs /sys
  if [ -n "$(awk -F: '$2!=""{print $2}' /proc/self/cgroup)" ]; then
    mount -t tmpfs -o mode=755 cgroups /sys/fs/cgroup
    awk -F: '$2!=""{print $2}' /proc/self/cgroup | while read -r c; do
      mkdir -p "/sys/fs/cgroup/${c#name=}"
      mount -t cgroup -o "$c" cgroup "/sys/fs/cgroup/${c#name=}" || echo "cgroup $c: cannot be mounted"
    done
  else
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
  fi
  for kv in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
            kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    f=$dir/sysctl/$(basename "${kv%=*}")
    echo "${kv#*=}" >"$f"
    mount --bind "$f" "/proc/sys/${kv%=*}"
  done
  mkdir -p /var/lib/kubelet /var/lib/cni /etc/rancher
  mount --bind "$dir/private/kubelet" /var/lib/kubelet
  mount --bind "$dir/private/cni" /var/lib/cni
  mount --bind "$dir/private/log" /var/log
  mount --bind "$dir/etc/rancher" /etc/rancher
  mount -t tmpfs -o mode=755 run /run
  # K3s would run the programs that a K3s of this machine extracted there, and not its own.
  if [ -d /var/lib/rancher ]; then mount -t tmpfs -o mode=755 rancher /var/lib/rancher; fi
  ip link set lo up
  "$@" &
  local child=$!
  # PID 1 has no default action for SIGTERM; its end lets the kernel end everything in the namespace.
  trap 'kill -TERM $child 2>/dev/null' TERM
  wait $child || true
  kill -0 $child 2>/dev/null && wait $child
  exit 0
}

# NAME DIR: runs a command inside the node's namespaces.
ns_exec() {
  local dir=$1; shift
  nsenter -t "$(cat "$dir/inner.pid")" -a -- "$@"
}

# DIR: the pid of the node's PID 1, seen from outside.
ns_inner_pid() {
  local outer; outer=$(cat "$1/unshare.pid")
  [ "$(cat "/proc/$outer/comm" 2>/dev/null)" = unshare ] && pgrep -P "$outer"
}

ns_stop_node() {
  local name=$1 dir=$2 inner i
  inner=$(ns_inner_pid "$dir") && [ -n "$inner" ] && kill -TERM "$inner" 2>/dev/null
  for i in $(seq 150); do
    [ -d "/proc/$(cat "$dir/unshare.pid")" ] || return 0
    sleep 0.1
  done
  kill -KILL "$(cat "$dir/unshare.pid")" 2>/dev/null || true
}

ns_down() {
  local name c path cg i
  for name in "$@"; do
    ip netns pids "$ns_prefix-$name" 2>/dev/null | while read -r p; do kill -KILL "$p" 2>/dev/null; done
    ip netns del "$ns_prefix-$name" 2>/dev/null
    ns_controllers | while read -r c path; do
      cg=/sys/fs/cgroup/${c#name=}${path%/}/$ns_prefix-$name
      for i in 1 2 3 4 5 6 7 8 9 10; do
        [ -d "$cg" ] || break
        find "$cg" -depth -type d -exec rmdir {} + 2>/dev/null
        [ -d "$cg" ] && sleep 0.2
      done
    done
  done
  ip netns del "$ns_prefix-hub" 2>/dev/null
  if [ $ns_had_netns_mount -eq 0 ] && [ -z "$(ls -A /run/netns 2>/dev/null)" ]; then umount /run/netns 2>/dev/null; fi
  return 0
}
