#!/bin/bash
# An add-on of the image in QEMU: a module and a file in it are there without a restart and after a power cut, a
# flipped bit is noticed and the node goes on, and without it in the config it is gone.
# Arguments: directory of the programs, recipe, cache of packages. Only in `./dev test --all`.
set -euo pipefail
programs=$1 recipe=$2 cache=$3
work=$(mktemp -d "${TMPDIR:-/tmp}/basalt-extension-XXXXXX")
qemu= web=
end() {
  for pid in $qemu $web; do kill -KILL "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap end EXIT
trap 'exit 1' TERM INT
fail() { echo "FAILED: $1"; tail -n 30 "$work/console.log" 2>/dev/null; exit 1; }

cd "$work"
port=$((20000 + $$ % 20000)) web_port=$((port + 1))
export PATH=$programs:$PATH NODECTL_CONTEXT=$work/lab/context.yaml
nodectl init lab --cluster home --no-passphrase >/dev/null 2>&1
# The size of the image is another test's business.
cp -r "$recipe" recipe && sed -i 's/^budget .*/budget 60000000 # of the test/' recipe/vm-amd64.profile
common=(--profile vm-amd64 --recipe recipe --cache "$cache" --programs "$programs" --time 1700000000)
image-builder build "${common[@]}" --out out --image-version 9.9.9 --trust lab/trust.json >/dev/null
for out in web again; do
  image-builder build "${common[@]}" --out "$out" --image-version 1.0.0 --extension nbd --key lab/keys/image.key >built.log ||
    { cat built.log; fail "the extension was not built"; }
done
name=basalt-nbd-1.0.0-amd64
cmp "web/$name.extension" "again/$name.extension" && cmp "web/$name.extension.yaml" "again/$name.extension.yaml" ||
  fail "two builds of the extension differ"
root=$(sed -n 's/.*"root": "\([0-9a-f]*\):.*/\1/p' "web/$name.extension.yaml")
blocks=$(sed -n 's/.*"root": "[0-9a-f]*:\([0-9]*\)".*/\1/p' "web/$name.extension.yaml")
if [ -x /usr/sbin/veritysetup ]; then
  /usr/sbin/veritysetup verify "web/$name.extension" "web/$name.extension" "$root" --hash-offset=$((blocks * 4096)) ||
    fail "veritysetup finds another tree"
fi
echo "ok: two builds of the extension are equal, $(stat -c %s "web/$name.extension") bytes"
cp /usr/share/OVMF/OVMF_VARS_4M.fd variables.fd
python3 -m http.server "$web_port" --bind 127.0.0.1 --directory web >/dev/null 2>&1 &
web=$!
disk=out/basalt-9.9.9-vm-amd64.raw

boot() {
  : >console.log
  qemu-system-x86_64 -nodefaults -no-user-config -display none -accel tcg,thread=multi -machine q35 -m 768 -smp 1 \
    -nic "user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:$port-:6050" -serial file:console.log \
    -drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
    -drive if=pflash,unit=1,format=raw,file=variables.fd \
    -drive "file=$disk,format=raw,if=none,id=disk,cache=unsafe" -device virtio-blk-pci,drive=disk,bootindex=1 &
  qemu=$!
  for _ in $(seq 360); do
    grep -qs 'metal serves' console.log && return
    sleep 0.5
  done
  fail "the node does not serve"
}
cut_power() { kill -KILL "$qemu"; wait "$qemu" 2>/dev/null || true; }
eventually() { # TEXT COMMAND...
  local text=$1
  shift
  for _ in $(seq 240); do
    "$@" >seen.log 2>&1 && grep -q "$text" seen.log && return
    sleep 0.5
  done
  cat seen.log
  return 1
}
apply() { nodectl apply -f n1.yaml -n n1 --yes --timeout 10m >apply.log 2>&1; }

boot
fingerprint=$(sed -n 's/.*fingerprint \([0-9a-f]\{64\}\).*/\1/p' console.log | head -n 1)
for i in $(seq 60); do
  nodectl pin n1 --node "127.0.0.1:$port" --fingerprint "$fingerprint" >/dev/null 2>&1 && break
  [ "$i" -lt 60 ] || fail "the node cannot be reached"
  sleep 0.5
done
nodectl gen config --name n1 --role server 2>/dev/null | sed '/^k3s:/,$d' >n1.yaml
# Nobody tells the time here.
nodectl patch -f n1.yaml --patch '{system: {time: {allowUnsynced: true, bootTimeout: 10s}}}' --in-place >/dev/null 2>&1
apply || { cat apply.log; fail "the config without an extension was not committed"; }

nodectl patch -f n1.yaml --patch '{system: {kernel: {modules: [{name: nbd, parameters: [max_part=8]}]}}}' >with-module.yaml
nodectl plan -f with-module.yaml -n n1 >plan.log 2>&1 && fail "a module that the image does not have was planned"
grep -q module plan.log || { cat plan.log; fail "another reason than the module"; }

nodectl extension pin -f n1.yaml "web/$name.extension.json" --url "http://10.0.2.2:$web_port/$name.extension.json"
boots=$(grep -c 'Linux version' console.log || true)
apply || { cat apply.log; fail "the extension was not committed"; }
eventually active nodectl get extension -n n1 -o wide || fail "the extension is not active"
cat seen.log
[ "$(grep -c 'Linux version' console.log || true)" = "$boots" ] || fail "adding it restarted the machine"
# The list of its modules is a file below /usr: the node plans with it now.
nodectl patch -f n1.yaml --patch '{system: {kernel: {modules: [{name: nbd, parameters: [max_part=8]}]}}}' >with-module.yaml
nodectl plan -f with-module.yaml -n n1 >plan.log 2>&1 || { cat plan.log; fail "the module of the extension is not seen"; }
echo "ok: a module and a file of an extension are there without a restart"

cut_power
boot
eventually active nodectl get extension -n n1 || fail "the extension did not survive the power cut"
echo "ok: after a power cut it is there"

# Nobody has it any more: else the node would fetch it again by itself.
cut_power
kill -KILL "$web" && wait "$web" 2>/dev/null || true
web=
python3 - "$disk" "web/$name.extension" <<'PY'
import mmap, sys
extension = open(sys.argv[2], 'rb').read()
blocks = len(extension) // 4096
flipped = 0
with open(sys.argv[1], 'r+b') as f:
    disk = mmap.mmap(f.fileno(), 0)
    for number in range(blocks // 2 + 1, blocks // 2 + 3):  # of the module, which is most of it
        block = extension[number * 4096:(number + 1) * 4096]
        if len(set(block)) < 16:
            continue
        at = disk.find(block)
        while at >= 0:
            disk[at + 100] ^= 1
            flipped += 1
            at = disk.find(block, at + 1)
    disk.flush()
sys.exit(0 if flipped else 'the extension is not found on the disk')
PY
boot
eventually 'corrupt\|missing' nodectl get extension -n n1 -o wide || fail "a flipped bit is not noticed"
cat seen.log
eventually ExtensionsActive nodectl get machinestatus -n n1 -o json || fail "the node does not say so"
echo "ok: a flipped bit is noticed, and the node goes on"

nodectl extension remove -f n1.yaml nbd
apply || { cat apply.log; fail "the config without the extension was not committed"; }
nodectl get extension -n n1 -o json >seen.log && ! grep -q nbd seen.log || { cat seen.log; fail "it is still there"; }
echo "ok: without it in the config it is gone"
