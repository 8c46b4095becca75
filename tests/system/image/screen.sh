# What a person sees of a long story: sourced, not run. Each line begins with the time since the start; a command
# stands as one would type it, its output below it; where nothing is said for a while, the console of a machine is.

started=$SECONDS checks=0
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then b=$'\033[1m' g=$'\033[32m' d=$'\033[2m' o=$'\033[0m'; else b='' g='' d='' o=''; fi

stamp() { local s=$((SECONDS - started)); printf '%s%2d:%02d%s ' "$d" $((s / 60)) $((s % 60)) "$o"; }
title() { echo; stamp; printf '%s%s%s\n' "$b" "$*" "$o"; }
note() { stamp; printf '   %s\n' "$*"; }
ok() { checks=$((checks + 1)); stamp; printf '%s ok%s %s\n' "$g" "$o" "$*"; }
fail() { printf '\ndemo: FAILED: %s\n' "$*" >&2; exit 1; }
shown() { stamp; printf ' %s$ %s%s\n' "$d" "$(words "$@")" "$o"; }
# As a shell would read them, and as short as that allows.
words() {
  local out='' w
  for w in "$@"; do
    w=${w//$work\//}
    case $w in *[!a-zA-Z0-9_./:=,@%+-]*|'') w="'$w'" ;; esac
    out+="$w "
  done
  printf '%s' "${out% }"
}

# Output of a command, as it comes. What a plan says of each value is counted. $watch: whose console is told of meanwhile.
watch=''
show_output() {
  local line values=0 rest=''
  while true; do
    if IFS= read -r -t 10 line; then
      line=$rest$line rest=''
    elif [ $? -gt 128 ]; then
      rest+=$line
      [ -z "$watch" ] || { stamp; printf '   %s... %s says: %s%s\n' "$d" "$watch" "$(machine_last_lines "$watch" 1 | sed 1d | cut -c 1-90)" "$o"; }
      continue
    else
      [ -z "$rest$line" ] || { stamp; printf '   %s\n' "$rest$line"; }
      break
    fi
    case $line in
      '  + '*|'  ~ '*|'  - '*) values=$((values + 1)); continue ;;
      '  filled in '*|next:*) continue ;;
    esac
    if [ $values -gt 0 ]; then stamp; printf '   %s(%d values; `nodectl plan` shows each)%s\n' "$d" $values "$o"; values=0; fi
    stamp; printf '   %s\n' "$line"
  done
  [ $values -eq 0 ] || { stamp; printf '   %s(%d values)%s\n' "$d" $values "$o"; }
}
# Shows a command, runs it, and has its exit code.
run() {
  local rc
  shown "$@"
  set +e; "$@" 2>&1 </dev/null | show_output; rc=${PIPESTATUS[0]}; set -e
  return "$rc"
}
# WORD -- COMMAND...: the command must fail, and say the word.
refused() {
  local word=$1 log=$work/refused.log rc; shift 2
  shown "$@"
  set +e; "$@" 2>&1 </dev/null | tee "$log" | show_output; rc=${PIPESTATUS[0]}; set -e
  [ "$rc" -ne 0 ] || fail "this was accepted: $*"
  grep -q "$word" "$log" || fail "the refusal does not say '$word'"
}
