#!/bin/bash
# The other profiles and the install medium, each built and started in QEMU to an answer of the API, and looked at by
# programs that we did not write. Arguments: which (metal, iso, arm64, uboot, rpi4), directory of the programs for this
# machine, of those for the image, recipe, cache of packages. Only in `./dev test --all`.
set -euo pipefail
which=$1 host=$2 programs=$3 recipe=$4 cache=$5
work=$(mktemp -d "${TMPDIR:-/tmp}/basalt-profiles-XXXXXX")
qemu=
stop() { [ -z "$qemu" ] || { kill -KILL "$qemu" 2>/dev/null; wait "$qemu" 2>/dev/null; qemu=; } || true; }
end() { stop; rm -rf "$work"; }
trap end EXIT
fail() { echo "FAILED: $1"; tail -n 25 "$work/console.log" 2>/dev/null; exit 1; }
has() { grep -q -- "$2" "$1" || { cat "$1"; fail "no '$2' in $1"; }; }

cd "$work"
port=$((20000 + $$ % 20000))
export PATH=$host:$PATH NODECTL_CONTEXT=$work/lab/context.yaml
nodectl init lab --cluster home --no-passphrase >/dev/null 2>&1

build() { # PROFILE [OPTIONS...]: into out/PROFILE
  local profile=$1; shift
  image-builder build --profile "$profile" --recipe "$recipe" --cache "$cache" --programs "$programs" --out "out/$profile" \
    --image-version 9.9.9 --time 1700000000 --trust lab/trust.json "$@" >build.log || { cat build.log; fail "no image $profile"; }
}
image() { echo "out/$1/basalt-9.9.9-$1$2"; }

amd64() { # ARGUMENTS of the machine: its disk and its network
  cp /usr/share/OVMF/OVMF_VARS_4M.fd variables.fd
  qemu-system-x86_64 -nodefaults -no-user-config -display none -accel tcg,thread=multi -machine q35 -m 768 -smp 1 \
    -netdev "user,id=n0,hostfwd=tcp:127.0.0.1:$port-:6050" -serial file:console.log \
    -drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
    -drive if=pflash,unit=1,format=raw,file=variables.fd "$@" &
  qemu=$!
}
arm64() { # FIRMWARE ARGUMENTS...
  local firmware=$1; shift
  qemu-system-aarch64 -nodefaults -no-user-config -display none -accel tcg,thread=multi -machine virt -cpu cortex-a72 -m 768 -smp 1 \
    -netdev "user,id=n0,hostfwd=tcp:127.0.0.1:$port-:6050" -serial file:console.log -bios "$firmware" \
    -device virtio-net-pci,netdev=n0,romfile= "$@" &
  qemu=$!
}
console() { # TEXT: until it stands there
  for _ in $(seq 480); do
    grep -qs -- "$1" console.log && return
    kill -0 "$qemu" 2>/dev/null || fail "the machine ended before '$1'"
    sleep 0.5
  done
  fail "the console does not say '$1'"
}
# The node of this console is pinned by its fingerprint and says of itself what only the API knows.
answers() { # NAME
  console 'metal serves'
  local fingerprint
  fingerprint=$(sed -n 's/.*fingerprint \([0-9a-f]\{64\}\).*/\1/p' console.log | head -n 1)
  for i in $(seq 60); do
    nodectl pin "$1" --node "127.0.0.1:$port" --fingerprint "$fingerprint" >/dev/null 2>&1 && break
    [ "$i" -lt 60 ] || fail "$1 is not reached"
    sleep 0.5
  done
  for i in $(seq 20); do
    nodectl status -n "$1" 2>/dev/null | grep -q 'no-config' && return
    sleep 0.5
  done
  fail "$1 does not say how it is"
}
modules_are_whole() { has console.log 'modules: [0-9]* loaded, [0-9]* for other machines, 0 failed \[ok\]'; }

case $which in
metal)
  build metal-amd64
  amd64 -device ich9-ahci,id=sata -drive "file=$(image metal-amd64 .raw),format=raw,if=none,id=disk,cache=unsafe" \
    -device ide-hd,bus=sata.0,drive=disk,bootindex=1 -device e1000e,netdev=n0,romfile= -device i6300esb
  answers metal
  modules_are_whole
  has console.log 'watchdog: resets after'
  stop
  echo "ok: metal-amd64 starts from a SATA disk and answers through an e1000e"
  build metal-amd64 --accept-nonfree-firmware
  has "$(image metal-amd64 .contents.tsv)" '/usr/lib/firmware/rtl_nic/rtl8168g-2.fw'
  mdir -b -i "$(image metal-amd64 .raw)@@1M" ::basalt/licences >licences
  has licences firmware-realtek
  echo "ok: firmware that is not free comes with its licences, when it was accepted"
  ;;
iso)
  build metal-amd64 --output iso
  medium=$(image metal-amd64 .iso)
  sfdisk --verify "$medium" >table && has table 'No errors detected'
  xorriso -indev "$medium" -report_el_torito plain -report_system_area plain -find / >disc 2>&1
  has disc 'El Torito boot img :   1  UEFI  y'
  has disc "'/SLOT.IMG'"
  cp "$medium" first.iso
  build metal-amd64 --output iso
  cmp first.iso "$medium" || fail "two builds of the medium differ"
  amd64 -drive "file=$medium,format=raw,if=none,id=disc,media=cdrom,readonly=on" -device ide-cd,drive=disc,bootindex=1 \
    -device e1000e,netdev=n0,romfile=
  answers disc
  has console.log 'STATE: in memory: this is an install medium'
  modules_are_whole
  stop
  echo "ok: the medium as a CD starts a node that keeps nothing"
  : >console.log
  qemu-img resize -q -f raw first.iso 1G # a stick is larger
  amd64 -device qemu-xhci -drive file=first.iso,format=raw,if=none,id=stick,cache=unsafe \
    -device usb-storage,drive=stick,bootindex=1,removable=on -device e1000e,netdev=n0,romfile=
  answers stick
  has console.log 'STATE: in memory: this is an install medium'
  echo "ok: the same bytes as a USB stick"
  ;;
arm64)
  build vm-arm64
  arm64 /usr/share/qemu-efi-aarch64/QEMU_EFI.fd -drive "file=$(image vm-arm64 .raw),format=raw,if=none,id=disk,cache=unsafe" \
    -device virtio-blk-pci,drive=disk,bootindex=1
  answers arm
  modules_are_whole
  echo "ok: vm-arm64 starts by UEFI and answers"
  ;;
uboot)
  # A loader that cannot count: the first program does, PID 1 calls the boot good, and an entry whose root is nowhere
  # uses up its tries.
  build vm-arm64 --tries 3
  disk=$(image vm-arm64 .raw)
  entries() { mdir -b -i "$disk@@1M" ::EFI/Linux; }
  arm64 /usr/lib/u-boot/qemu_arm64/u-boot.bin -drive "file=$disk,format=raw,if=none,id=disk,cache=unsafe" \
    -device virtio-blk-pci,drive=disk
  answers uboot
  has console.log 'noded_9.9.9+2-1.efi boots on trial, below a loader that cannot count'
  console 'noded_9.9.9.efi is good'
  stop
  entries >names
  has names 'noded_9.9.9.efi'
  echo "ok: below U-Boot a trial is counted by the first program and called good by PID 1"
  : >console.log
  python3 - "$(image vm-arm64 .efi)" bad.efi <<'PY'
import sys
uki = open(sys.argv[1], 'rb').read()
at = uki.index(b'noded.root=') + 11
uki = uki[:at] + (b'1' if uki[at:at + 1] == b'0' else b'0') + uki[at + 1:]
uki = uki.replace(b'VERSION_ID=9.9.9\nIMAGE', b'VERSION_ID=9.9.10\nIMAG')
open(sys.argv[2], 'wb').write(uki)
PY
  mcopy -i "$disk@@1M" bad.efi '::EFI/Linux/noded_9.9.a+2.efi'
  arm64 /usr/lib/u-boot/qemu_arm64/u-boot.bin -drive "file=$disk,format=raw,if=none,id=disk,cache=unsafe" \
    -device virtio-blk-pci,drive=disk
  console 'no slot holds the root of this kernel'
  console 'metal serves'
  stop
  entries >names
  has names 'noded_9.9.a+0-2.efi'
  echo "ok: an entry whose root is nowhere used up its tries, and the old one is back"
  ;;
rpi4)
  image-builder build --profile rpi4-arm64 --recipe "$recipe" --cache "$cache" --programs "$programs" --out out/refused \
    --image-version 9.9.9 --time 1700000000 >refused.log 2>&1 && fail "an image with firmware that nobody accepted"
  has refused.log 'nonfree: raspi-firmware is not free software'
  build rpi4-arm64 --accept-nonfree-firmware
  disk=$(image rpi4-arm64 .raw)
  sfdisk --verify "$disk" >table && has table 'No errors detected'
  dd if="$disk" bs=1 skip=446 count=64 status=none | od -An -tx1 -w16 >mbr
  has mbr '^ 00 00 02 00 ee ff ff ff 01 00 00 00 ff ff ff ff$'
  has mbr '^ 00 fe ff ff 0c fe ff ff 00 08 00 00 00 00 10 00$'
  dd if="$disk" of=esp.img bs=1M skip=1 count=512 conv=sparse status=none
  fsck.vfat -n esp.img >fat || { cat fat; fail "the boot partition"; }
  for file in start4.elf fixup4.dat config.txt u-boot.bin bcm2711-rpi-4-b.dtb bcm2711-rpi-400.dtb \
    EFI/BOOT/BOOTAA64.EFI EFI/Linux/noded_9.9.9.efi basalt/licences/raspi-firmware; do
    mcopy -n -i esp.img "::$file" "file-$(basename "$file")" || fail "no $file on the boot partition"
  done
  for line in arm_64bit=1 kernel=u-boot.bin enable_uart=1; do has file-config.txt "^$line$"; done
  [ "$(od -An -tx1 -N4 file-bcm2711-rpi-4-b.dtb | tr -d ' ')" = d00dfeed ] || fail "the device tree is none"
  grep -qa 'raspberrypi,4-model-b' file-bcm2711-rpi-4-b.dtb || fail "the device tree is of another machine"
  file -b file-start4.elf | grep -q ELF || fail "start4.elf is no program"
  aarch64-linux-gnu-objdump -h file-noded_9.9.9.efi >sections && has sections '.linux'
  echo "ok: the Raspberry Pi 4's card has what its firmware asks for (not started: QEMU has no such machine)"
  ;;
*) fail "unknown: $which" ;;
esac
