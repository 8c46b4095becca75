# An image with a lookout on it, and its answers: sourced, not run. $work, $programs, $recipe and $cache are the caller's.

# VERSION [KEY]: as it is shipped, but that noded is the lookout, which becomes noded. Needs qemu.sh's $work.
lookout_image() {
  mkdir -p lookout
  ln -sf "$programs"/{noded*,basalt-boot} lookout
  ln -sf "$programs/noded" lookout/noded.real
  ln -sf "$lookout" lookout/noded
  # The size of the image is another test's business.
  cp -r "$recipe" recipe && chmod -R u+w recipe
  sed -i 's/^budget .*/budget 60000000 # of the test/' recipe/vm-amd64.profile
  echo 'program /usr/bin/noded.real build:noded.real                # what the lookout becomes' >>recipe/root.list
  image-builder build --profile vm-amd64 --recipe recipe --cache "$cache" --programs lookout --out out \
    --image-version "$1" --time 1700000000 --trust lab/trust.json ${2:+--key "$2"} >build.log 2>&1 || { cat build.log; return 1; }
}
# A question, answered (lookout.cc); the second forwarded port of machine 1 leads to it.
look() {
  exec 9<>"/dev/tcp/127.0.0.1/$look_port" || return 1
  echo "$*" >&9
  cat <&9
  exec 9<&- 9>&-
}
