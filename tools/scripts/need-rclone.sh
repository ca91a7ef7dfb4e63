#!/usr/bin/env bash
# The digests are held against those of another program: $RCLONE when set, else the rclone on the PATH, else Debian's is
# installed.
set -euo pipefail
. "$(dirname "$0")/apt.sh"
if [ -n "${RCLONE:-}" ]; then
  [ -x "$RCLONE" ] || { echo "RCLONE=$RCLONE is not a program" >&2; exit 1; }
  exit 0
fi
need_package rclone rclone
