#!/usr/bin/env bash
# Go's race detector links against C, so tests want a C compiler.
set -euo pipefail
. "$(dirname "$0")/apt.sh"
need_package "$(go env CC)" gcc libc6-dev
