#!/bin/bash
# The image's root as a container, below crun: noded-init is PID 1 of its namespaces, the API answers, a signed config
# is applied and kept over a restart, what is the machine's is refused, and the host's /dev and /sys are not touched.
# Arguments: directory of the programs, recipe, cache of packages. As root; only in `./dev test --all`.
set -euo pipefail
programs=$1 recipe=$2 cache=$3
command -v crun >/dev/null || { echo "SKIPPED: no crun"; exit 77; }
[ "$(id -u)" -eq 0 ] || { echo "SKIPPED: not root"; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/basalt-container-XXXXXX")
name=basalt-test-$$ crun=
# The state of crun lies here: nothing of the host's runtimes is seen.
runtime=(crun --root "$work/crun" --cgroup-manager=disabled)
end() {
  "${runtime[@]}" kill "$name" KILL 2>/dev/null || true
  [ -z "$crun" ] || wait "$crun" 2>/dev/null || true
  "${runtime[@]}" delete --force "$name" 2>/dev/null || true
  rm -rf "$work"
}
trap end EXIT
trap 'exit 1' TERM INT
fail() { echo "FAILED: $1"; tail -n 30 "$work/console.log" 2>/dev/null; exit 1; }

cd "$work"
export PATH=$programs:$PATH NODECTL_CONTEXT=$work/lab/context.yaml
nodectl init lab --cluster home --no-passphrase >/dev/null 2>&1
for out in out again; do
  image-builder build --profile vm-amd64 --recipe "$recipe" --cache "$cache" --programs "$programs" --out "$out" \
    --image-version 9.9.9 --time 1700000000 --trust lab/trust.json --output oci >built.log || { cat built.log; fail "it was not built"; }
done
cmp out/*.oci.tar again/*.oci.tar || fail "two builds differ"
# A reader that we did not write: every blob is what its name says, and the layer unpacks to the bundle's root.
python3 - out/basalt-9.9.9-vm-amd64 <<'PY'
import hashlib, io, json, os, sys, tarfile
base = sys.argv[1]
tar = tarfile.open(base + '.oci.tar')
blobs = {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}
for name, data in blobs.items():
    if name.startswith('blobs/sha256/'):
        assert hashlib.sha256(data).hexdigest() == name[13:], name
def blob(d): return blobs['blobs/sha256/' + d['digest'][7:]]
manifest = json.loads(blob(json.loads(blobs['index.json'])['manifests'][0]))
config = json.loads(blob(manifest['config']))
layer = blob(manifest['layers'][0])
assert config['rootfs']['diff_ids'] == ['sha256:' + hashlib.sha256(layer).hexdigest()]
assert config['config']['Entrypoint'][0] == '/usr/bin/noded-init'
assert json.loads(blobs['manifest.json'])[0]['RepoTags'] == ['basalt:9.9.9']
names = set()
for m in tarfile.open(fileobj=io.BytesIO(layer)):
    path = os.path.join(base + '.bundle/rootfs', m.name)
    names.add(m.name)
    if m.issym(): assert os.readlink(path) == m.linkname, m.name
    elif m.isdir(): assert os.path.isdir(path), m.name
    else: assert m.size == os.path.getsize(path) and m.mode == os.stat(path).st_mode & 0o7777, m.name
assert 'usr/bin/noded' in names and not any('lib/modules' in n for n in names)
PY
echo "ok: two builds are equal, and the archive is what it says"
bundle=$work/out/basalt-9.9.9-vm-amd64.bundle

host_state() { find /dev -xdev -maxdepth 2 | sort; cat /proc/self/mountinfo | awk '{print $5}' | sort; hostname; }
host_state >before.txt
start() {
  # crun takes no mixture of both kinds of cgroups; this one asks for none of either.
  unshare --mount bash -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"' - \
    "${runtime[@]}" run -b "$bundle" "$name" >console.log 2>&1 &
  crun=$!
  for _ in $(seq 120); do
    grep -q 'container serves' console.log && break
    kill -0 "$crun" 2>/dev/null || fail "the container ended"
    sleep 0.25
  done
  grep -q 'container serves' console.log || fail "the node does not serve"
  pid=$("${runtime[@]}" state "$name" | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')
}
inside() { nsenter -t "$pid" -n "$programs/nodectl" "$@"; }  # its network namespace has lo alone
stop() {
  "${runtime[@]}" kill "$name" TERM
  for _ in $(seq 120); do kill -0 "$crun" 2>/dev/null || break; sleep 0.25; done
  kill -0 "$crun" 2>/dev/null && fail "it does not end"
  wait "$crun" || true
  crun=
}

start
fingerprint=$(sed -n 's/.*fingerprint \([0-9a-f]\{64\}\).*/\1/p' console.log | head -n 1)
inside pin n1 --node 127.0.0.1:6050 --fingerprint "$fingerprint" >pin.log 2>&1 || { cat pin.log; fail "it cannot be pinned"; }
nodectl gen config --name n1 --role server 2>/dev/null | sed '/^k3s:/,$d' >n1.yaml
nodectl patch -f n1.yaml --patch '{network: {hosts: [{ip: 10.0.0.2, names: [mirror.lan]}]}}' --in-place >/dev/null 2>&1
inside apply -f n1.yaml -n n1 --yes --timeout 2m >apply.log 2>&1 || { cat apply.log; fail "the config was not committed"; }
inside status -n n1 >status.log 2>&1 || { cat status.log; fail "no status"; }
grep -q container status.log || inside get machinestatus -n n1 -o json | grep -q '"platform": *"container"' || { cat status.log; fail "it does not say what it is"; }
[ "$(nsenter -t "$pid" -u hostname)" = n1 ] || fail "the container has another name"
grep -q mirror.lan "/proc/$pid/root/run/etc/hosts" || fail "a host is not known"
echo "ok: the API answers, and a signed config is applied"

cp n1.yaml machine.yaml
nodectl patch -f machine.yaml --patch '{system: {kernel: {sysctls: {net.core.somaxconn: "4096"}}}}' --in-place >/dev/null 2>&1
inside apply -f machine.yaml -n n1 --yes >refused.log 2>&1 && fail "a setting of the host's kernel was taken"
grep -q 'system.kernel' refused.log || { cat refused.log; fail "refused without the field"; }
nodectl init other --cluster home --no-passphrase >/dev/null 2>&1
NODECTL_CONTEXT=$work/other/context.yaml nodectl sign -f n1.yaml --key other/keys/config.key -o stranger.json --yes >/dev/null 2>&1 || true
if [ -s stranger.json ]; then
  inside apply -f stranger.json -n n1 --yes >stranger.log 2>&1 && fail "a stranger's config was taken"
fi
echo "ok: what is the machine's is refused by field, and so is what a stranger signed"

stop
start
again=$(sed -n 's/.*fingerprint \([0-9a-f]\{64\}\).*/\1/p' console.log | head -n 1)
[ "$fingerprint" = "$again" ] || fail "it is another node after a restart"
for i in $(seq 40); do
  inside get configstatus -n n1 -o json >config.json 2>/dev/null && grep -q '"generation"' config.json && break
  [ "$i" -lt 40 ] || fail "it does not know its config after a restart"
  sleep 0.25
done
[ "$(nsenter -t "$pid" -u hostname)" = n1 ] || fail "the name did not survive"
touch "/proc/$pid/root/usr/x" 2>/dev/null && fail "the root can be written to"
echo "ok: a restart keeps identity, config and name; the root is read-only"

stop
host_state >after.txt
cmp before.txt after.txt || { diff before.txt after.txt; fail "something of the host changed"; }
echo "ok: the host's /dev, mounts and name are as they were"
