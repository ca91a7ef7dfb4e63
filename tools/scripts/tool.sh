#!/usr/bin/env bash
# Prints the path of a development tool, built first if need be: tool.sh NAME
#
# Every tool is pinned by a Go module under tools/. Binaries are kept outside of the sources, in a folder named by what
# they are built from, so a changed pin or another Go makes a new one and nothing is ever stale. GOPAN_CACHE is where; it is
# gopan in the user's cache folder if it is not set.
set -euo pipefail

name=${1:?usage: tool.sh NAME}
root=$(cd "$(dirname "$0")/../.." && pwd)

case $name in
  buf)                module=tools/buf  package=github.com/bufbuild/buf/cmd/buf ;;
  golangci-lint)      module=tools/lint package=github.com/golangci/golangci-lint/v2/cmd/golangci-lint ;;
  staticcheck)        module=tools/lint package=honnef.co/go/tools/cmd/staticcheck ;;
  govulncheck)        module=tools/lint package=golang.org/x/vuln/cmd/govulncheck ;;
  minio)              module=tools/minio package=github.com/minio/minio ;;
  etcd)               module=tools/etcd package=go.etcd.io/etcd/server/v3 ;;
  traefik)            module=tools/traefik package=github.com/traefik/traefik/v3/cmd/traefik ;;
  versitygw)          module=tools/versitygw package=github.com/versity/versitygw/cmd/versitygw ;;
  protoc-gen-go)      module=tools      package=google.golang.org/protobuf/cmd/protoc-gen-go ;;
  protoc-gen-go-grpc) module=tools      package=google.golang.org/grpc/cmd/protoc-gen-go-grpc ;;
  *) echo "tool.sh: no tool is called $name" >&2; exit 2 ;;
esac

key=$( (cat "$root/$module/go.mod" "$root/$module/go.sum"; go env GOVERSION GOOS GOARCH) | git hash-object --stdin)
dir=${GOPAN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gopan}/tools/$name-${key:0:12}

if [ ! -x "$dir/$name" ]; then
  echo "building $name (once; pinned in $module/go.mod)" >&2
  mkdir -p "$dir"
  # Built beside its place and moved there, so that two makes at once do no harm.
  CGO_ENABLED=0 go build -C "$root/$module" -trimpath -ldflags '-s -w' -o "$dir/$name.$$" "$package"
  mv "$dir/$name.$$" "$dir/$name"
fi
echo "$dir/$name"
