#!/usr/bin/env bash
# The table of lost keys in machineconfig/README.md and the tests agree: the row "root key (...)" has tests
# LostKeys.RootKey_*, and each such test has a row.   lost_keys_table.sh BUILD_DIR README
set -euo pipefail
tests=$(ctest --test-dir "$1" -N | sed -n 's/^ *Test *#[0-9]*: .*LostKeys\.\([A-Za-z]*\)_.*/\1/p' | sort -u)
[ -n "$tests" ] || { echo "no tests LostKeys.* below $1" >&2; exit 1; }
rows=$(sed -n '/^<!-- keys/,/^<!-- end of keys/s/^| \([a-z][a-z ]*[a-z]\) \{0,1\}[(|].*/\1/p' "$2" | grep -vx key |
  sed 's/\(^\| \)\([a-z]\)/\U\2/g' | sort -u)
[ -n "$rows" ] || { echo "no rows in $2" >&2; exit 1; }
wrong=0
for row in $rows; do grep -qx "$row" <<<"$tests" || { echo "row $row of $2 has no test LostKeys.${row}_"; wrong=1; }; done
for row in $tests; do grep -qx "$row" <<<"$rows" || { echo "tests LostKeys.${row}_, which is no row of $2"; wrong=1; }; done
[ $wrong -eq 0 ] && echo "$(wc -l <<<"$rows") rows, each with a test"
exit $wrong
