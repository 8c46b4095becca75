# Machines in QEMU for shell scripts: sourced, not run. With KVM where the kernel gives it, else emulated.
# Each machine has a directory of its own below $work: an overlay of its disk, its firmware's variables, its
# serial console as a file, its pid. Everything listens on 127.0.0.1 alone.
#
#   machine_disk NAME IMAGE.qcow2 SIZE     makes the directory and the disk
#   machine_start NAME NUMBER MEMORY PORT [FORWARD...]   NUMBER tells its network addresses; PORT leads to its API; more
#                                          forwards as HOSTPORT-:GUESTPORT
#   machine_await NAME SECONDS TEXT...     until the console says one of them; 1 when it does not
#   machine_stop NAME
#
# Two cards: the first leads out, through QEMU itself (the host is 10.0.2.2 there), the second is a cable between
# machines 1 and 2, made of two sockets in $work.

machine_pid() { cat "$work/$1/qemu.pid" 2>/dev/null; }
machine_console() { printf '%s' "$work/$1/console.log"; }
# NUMBER CARD
machine_mac() { printf '52:54:00:ba:5a:%x%x' "$1" "$2"; }
machine_runs() { local pid; pid=$(machine_pid "$1") && kill -0 "$pid" 2>/dev/null; }

# What the machines run on, in words.
machine_kind() {
  if [ -w /dev/kvm ] && machine_kvm_works; then echo "QEMU with KVM"
  else echo "QEMU without KVM: every instruction is emulated, so all of it is slow"; fi
}
# A /dev/kvm that opens may still not run anything (nested, filtered): QEMU itself says.
machine_kvm_works() {
  [ -n "${machine_kvm:-}" ] || {
    machine_kvm=no
    # In a shell of its own, which keeps to itself how QEMU ended.
    [ -w /dev/kvm ] && (echo quit | timeout 10 qemu-system-x86_64 -nodefaults -display none -machine q35 -accel kvm \
      -cpu host -monitor stdio; exit "${PIPESTATUS[1]}") >/dev/null 2>&1 && machine_kvm=yes
  }
  [ "$machine_kvm" = yes ]
}

machine_disk() {
  mkdir -p "$work/$1"
  qemu-img create -q -f qcow2 -F qcow2 -b "$2" "$work/$1/disk.qcow2" "$3"
  cp /usr/share/OVMF/OVMF_VARS_4M.fd "$work/$1/variables.fd"
}

machine_start() {
  local name=$1 number=$2 memory=$3 dir=$work/$1 forwards=hostfwd=tcp:127.0.0.1:$4-:6050 other=$((3 - $2)) more
  local accel=(-accel "tcg,thread=multi")
  for more in "${@:5}"; do forwards+=",hostfwd=tcp:127.0.0.1:$more"; done
  if machine_kvm_works; then accel=(-accel kvm -cpu host); fi
  : >"$dir/console.log"
  rm -f "$work/cable$number"
  qemu-system-x86_64 -nodefaults -no-user-config -display none "${accel[@]}" -machine q35 -m "$memory" -smp 1 \
    -netdev "user,id=out,net=10.0.2.0/24,$forwards" \
    -device "virtio-net-pci,netdev=out,romfile=,mac=$(machine_mac "$number" 1)" \
    -netdev "dgram,id=cable,local.type=unix,local.path=$work/cable$number,remote.type=unix,remote.path=$work/cable$other" \
    -device "virtio-net-pci,netdev=cable,romfile=,mac=$(machine_mac "$number" 2)" \
    -serial "file:$dir/console.log" \
    -drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
    -drive "if=pflash,unit=1,format=raw,file=$dir/variables.fd" \
    -drive "file=$dir/disk.qcow2,format=qcow2,if=none,id=disk,cache=unsafe,discard=unmap" \
    -device virtio-blk-pci,drive=disk,bootindex=1 </dev/null >"$dir/qemu.log" 2>&1 &
  echo $! >"$dir/qemu.pid"
}

# The console is for a screen: no escapes, no carriage returns.
machine_last_lines() {
  [ -f "$(machine_console "$1")" ] || return 0
  echo "--- the last lines on the console of $1:"
  tail -c 4000 "$(machine_console "$1")" | tr -d '\r' | tr -cd '[:print:]\n' | tail -n "${2:-15}"
  [ ! -s "$work/$1/qemu.log" ] || { echo "--- and of its QEMU:"; tail -n 5 "$work/$1/qemu.log"; }
}

machine_await() {
  local name=$1 text deadline=$((SECONDS + $2)); shift 2
  while [ $SECONDS -lt "$deadline" ]; do
    for text in "$@"; do grep -qsaF "$text" "$(machine_console "$name")" && return 0; done
    machine_runs "$name" || return 1
    sleep 0.3
  done
  return 1
}

machine_stop() {
  local pid; pid=$(machine_pid "$1") || return 0
  kill -KILL "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
  rm -f "$work/$1/qemu.pid"
}
