#!/usr/bin/env bash
# The examples of docs/api.md and docs/uploads.md are run as they stand, by the programs that a reader would use.
set -euo pipefail
. "$(dirname "$0")/apt.sh"
for tool in bash curl jq python3; do
  need_package "$tool" "$tool"
done
