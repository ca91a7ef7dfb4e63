#!/usr/bin/env bash
# Prints the folder of MySQL Server and MySQL Router, installed first if need be: a small Debian tree of its own that
# is used in place, so that nothing of it meets what else is on the machine.
#
# Debian's stable release has no MySQL and its next one does (package mysql-server). Wants root for debootstrap.
set -euo pipefail
. "$(dirname "$0")/apt.sh"

suite=sid series=9
cache=${GOPAN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gopan}
root=$cache/mysql-$series
if [ -x "$root/usr/sbin/mysqld" ]; then
  echo "$root"
  exit
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "installing MySQL needs root, for debootstrap" >&2
  exit 1
fi
need_package debootstrap debootstrap >&2
# The mirror that this machine uses; debootstrap knows one itself.
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | sed -n 's/^URIs: *//p; s/^deb [^ ]*\(http[^ ]*\).*/\1/p' | grep -v security | head -1 || true)
echo "installing MySQL $series from Debian $suite (once)" >&2
new=$(mktemp -d "$cache/mysql-$series.XXXXXX")
trap 'rm -rf --one-file-system "$new"' EXIT
debootstrap --variant=minbase "$suite" "$new" ${mirror:+"$mirror"} >&2
printf '#!/bin/sh\nexit 101\n' > "$new/usr/sbin/policy-rc.d" # starts nothing
chmod +x "$new/usr/sbin/policy-rc.d"
chroot "$new" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  mysql-server-core mysql-client-core mysql-router >&2
version=$(chroot "$new" mysqld --version)
case $version in
  *"Ver $series."*) ;;
  *) echo "Debian $suite now has another MySQL than $series: $version" >&2; exit 1 ;;
esac
rm -rf "$new"/var/cache/apt/archives/*.deb "$new"/var/lib/apt/lists/*
chmod 755 "$new"
mv -T "$new" "$root" 2>/dev/null || [ -x "$root/usr/sbin/mysqld" ] # another may have come first
trap - EXIT
echo "$root"
