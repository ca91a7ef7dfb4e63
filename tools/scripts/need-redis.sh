#!/usr/bin/env bash
# Sees to it that redis-server and redis-cli are here.
set -euo pipefail
. "$(dirname "$0")/apt.sh"
need_package redis-server redis-server redis-tools >&2
need_package redis-cli redis-tools >&2
