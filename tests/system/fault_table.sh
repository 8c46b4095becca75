#!/usr/bin/env bash
# The table of faults in tests/README.md and the tests agree: each row has a test that carries its id, and each id in a
# test's name has a row.   fault_table.sh BUILD_DIR README
set -euo pipefail
tests=$(ctest --test-dir "$1" -N | sed -n 's/^ *Test *#[0-9]*: //p')
[ -n "$tests" ] || { echo "no tests below $1" >&2; exit 1; }
rows=$(sed -n '/^<!-- rows/,/^<!-- end of rows/s/^| \([A-Z][0-9]\{1,2\}\) |.*/\1/p' "$2")
named=$(grep -oE '(^|[._/])[A-Z][0-9]{1,2}_' <<<"$tests" | tr -d '._/' | sort -u)
wrong=0
for id in $rows; do grep -qx "$id" <<<"$named" || { echo "row $id of $2 has no test with ${id}_ in its name"; wrong=1; }; done
for id in $named; do grep -qx "$id" <<<"$rows" || { echo "tests name $id, which is no row of $2"; wrong=1; }; done
[ $wrong -eq 0 ] && echo "$(wc -l <<<"$rows") rows, each with a test"
exit $wrong
