#!/usr/bin/env bash
# Starts everything that a cluster runs on, in a folder of its own, runs the tests that need it, and stops it all.
set -euo pipefail
cd "$(dirname "$0")/../.."

go build -C tools/cluster -o ../../bin/cluster .
cluster() { bin/cluster -dir "$PWD/.cluster/test" "$@"; }
trap 'cluster down' EXIT
cluster down
rm -rf --one-file-system .cluster/test
cluster up
# shellcheck disable=SC1091
. .cluster/test/env

failed=0
export GOFLAGS=-tags=no_k8s,cluster
# Whole suites, on MySQL instead of SQLite.
go test -timeout 15m ./internal/db ./internal/filemeta ./internal/user || failed=1
go test -timeout 15m -run Migrate ./internal/transfer || failed=1
# What is about the cluster alone.
go test -timeout 15m -run Cluster $(go list ./... | grep -vE 'internal/(db|filemeta|user)$') | grep -v '\[no test' || failed=1
cluster campaign -duration "${CAMPAIGN:-90s}" -seed "${SEED:-1}" -kafka-outage "${OUTAGE:-20s}" || failed=1
exit $failed
