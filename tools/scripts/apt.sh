# Sourced by the need-*.sh scripts.

# need_package COMMAND PACKAGE... : installs the Debian packages unless COMMAND is there. Without root or without
# apt it says what is missing and fails.
need_package() {
  local command=$1
  shift
  if command -v "$command" >/dev/null; then
    return 0
  fi
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "$command is needed and not here. On Debian or Ubuntu: sudo apt-get install $*" >&2
    return 1
  fi
  echo "installing $*"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "$@" >/dev/null
  command -v "$command" >/dev/null
}
