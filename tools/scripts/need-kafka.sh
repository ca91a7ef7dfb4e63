#!/usr/bin/env bash
# Prints the class path of Apache Kafka, fetched first if need be; tools/kafka/pom.xml pins it. Wants a JDK of version 17 or
# later, and Maven.
set -euo pipefail
. "$(dirname "$0")/apt.sh"
need_package java openjdk-17-jre-headless >&2
pom=$(dirname "$0")/../kafka/pom.xml
key=$(git hash-object "$pom")
dir=${GOPAN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gopan}/kafka-${key:0:12}
if [ ! -d "$dir" ]; then
  need_package mvn maven >&2
  echo "fetching Apache Kafka (once; pinned in tools/kafka/pom.xml)" >&2
  mkdir -p "$(dirname "$dir")"
  new=$(mktemp -d "$dir.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  mvn -q -B -f "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$new" >&2
  mv -T "$new" "$dir" 2>/dev/null || [ -d "$dir" ] # another may have come first
  trap - EXIT
fi
echo "$dir/*"
