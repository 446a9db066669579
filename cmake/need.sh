# need PACKAGE...: installs what is missing (Debian, Ubuntu); elsewhere says what is needed and goes on where the tools
# are there. For the scripts that set up: . cmake/need.sh

need() {
  if command -v dpkg-query >/dev/null; then
    local missing=() package sudo=""
    for package in "$@"; do
      dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
      sudo=sudo
      command -v sudo >/dev/null || { echo "as root: apt-get install ${missing[*]}" >&2; return 2; }
    fi
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"
  else
    local tool
    for tool in cmake ninja g++ pkg-config; do
      command -v "$tool" >/dev/null || { echo "'$tool' is missing; install the equivalents of: $*" >&2; return 2; }
    done
    echo "not Debian or Ubuntu: the equivalents of these have to be installed: $*"
  fi
}
