#!/usr/bin/env bash
# Runs govulncheck over the main module: vuln.sh GOVULNCHECK. Fails when our code reaches a known vulnerability.
#
# The database is $VULNDB (a folder or a .tar.gz), else the copy kept beside the checkout, else https://vuln.go.dev.
set -euo pipefail

govulncheck=${1:?usage: vuln.sh GOVULNCHECK}
cd "$(dirname "$0")/../.."

db=${VULNDB:-}
if [ -z "$db" ] && [ -e ../shared/vulndb.tar.gz ]; then
  db=../shared/vulndb.tar.gz
fi
if [ -z "$db" ]; then
  exec "$govulncheck" ./...
fi

if [ -f "$db" ]; then
  unpacked=$(mktemp -d)
  trap 'rm -rf "$unpacked"' EXIT
  tar -xzf "$db" -C "$unpacked"
  db=$unpacked
fi
# The archive may hold the database in a folder of its own.
index=$(find "$db" -maxdepth 3 -path '*/index/db.json' -print -quit 2>/dev/null || true)
if [ -z "$index" ]; then
  echo "vuln.sh: no vulnerability database (index/db.json) in ${VULNDB:-$db}" >&2
  exit 1
fi
db=$(cd "$(dirname "$index")/.." && pwd)
reports=$(find "$db/ID" -name 'GO-*.json' | wc -l)
if [ "$reports" -eq 0 ]; then
  echo "vuln.sh: the vulnerability database in $db is empty" >&2
  exit 1
fi
echo "looking dependencies up in $reports reports"
"$govulncheck" -db "file://$db" ./...
