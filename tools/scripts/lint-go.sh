#!/usr/bin/env bash
# The Go half of `make lint`. Every check runs, so that one run shows all there is to mend.
set -uo pipefail
cd "$(dirname "$0")/../.."

# Modules beside the main one, so that what only tools and benchmarks need is not in the drive's go.mod.
all=(. tools tools/bench tools/sqlitebench tools/lint tools/buf tools/minio tools/versitygw tools/etcd tools/traefik tools/cluster)
# Those with code; sqlitebench is a page of benchmarks, and slow to load.
code=(. tools tools/bench tools/sqlitebench tools/cluster)
ours=(. tools tools/bench tools/cluster)

failed=()
check() {
  local name=$1
  shift
  "$@" || failed+=("$name")
}
in_each() { # in_each COMMAND MODULE... : fails when it failed in one
  local command=$1 module bad=0
  shift
  for module in "$@"; do
    (cd "$module" && $command) || { echo "lint: $(basename "${command%% *}") complains in $module" >&2; bad=1; }
  done
  return $bad
}
format() {
  local wrong
  wrong=$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l) && [ -z "$wrong" ] && return
  printf 'gofmt would change:\n%s\n' "$wrong" >&2
  return 1
}

check gofmt format
check 'go mod tidy' in_each 'go mod tidy -diff' "${all[@]}"
check 'go vet' in_each 'go vet ./...' "${code[@]}"
staticcheck=$(tools/scripts/tool.sh staticcheck) || exit 1
check staticcheck in_each "$staticcheck ./..." "${ours[@]}"
golangci=$(tools/scripts/tool.sh golangci-lint) || exit 1
check golangci-lint in_each "$golangci run ./..." "${ours[@]}"
buf=$(tools/scripts/tool.sh buf) || exit 1
check 'buf lint' "$buf" lint

if [ ${#failed[@]} -gt 0 ]; then
  printf 'lint: %s failed\n' "${failed[@]}" >&2
  exit 1
fi
