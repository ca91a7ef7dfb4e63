#!/usr/bin/env bash
# Runs every fuzzer of the main module for $FUZZTIME (10s), one after the other. What a fuzzer finds is written to
# testdata/fuzz beside it: commit that file with the fix, and every later `go test` tries it.
set -euo pipefail
cd "$(dirname "$0")/../.."

files=$(git ls-files -co --exclude-standard '*_test.go' | grep -v '^tools/' | xargs grep -lE '^func Fuzz' || true)
if [ -z "$files" ]; then
  echo "fuzz.sh: there is no fuzzer" >&2
  exit 1
fi

failed=()
for file in $files; do
  for fuzzer in $(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$file"); do
    echo "== $fuzzer in ./$(dirname "$file")"
    go test -run '^$' -fuzz "^$fuzzer\$" -fuzztime "${FUZZTIME:-10s}" "./$(dirname "$file")" || failed+=("$file: $fuzzer")
  done
done
if [ ${#failed[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failed[@]}" >&2
  exit 1
fi
