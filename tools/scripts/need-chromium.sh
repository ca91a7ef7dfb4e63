#!/usr/bin/env bash
# The browser story wants a Chromium: $CHROMIUM when set, else one on the PATH, else Debian's is installed.
# The Noto fonts are for the Chinese half of the story.
set -euo pipefail
. "$(dirname "$0")/apt.sh"
if [ -n "${CHROMIUM:-}" ]; then
  [ -x "$CHROMIUM" ] || { echo "CHROMIUM=$CHROMIUM is not a program" >&2; exit 1; }
  exit 0
fi
need_package chromium chromium fonts-noto-cjk
