#!/usr/bin/env bash
# Tests of the object stores run against real servers: MinIO and the Versity gateway, each pinned by a Go module below
# tools/. Building them takes minutes, once.
set -euo pipefail
cd "$(dirname "$0")"
for server in minio versitygw; do
  ./tool.sh "$server" > /dev/null
done
