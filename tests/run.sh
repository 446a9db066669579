#!/usr/bin/env bash
# The tests, from a fresh clone: installs what is missing (Debian, Ubuntu), then format check, builds with g++ and clang
# with warnings as errors, all tests, the tests under ASan and UBSan, the program on the goldens, and the installed
# package in a project of its own.
#
#   tests/run.sh            everything
#   D3AD_JOBS=4 tests/run.sh

set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=passive
jobs=${D3AD_JOBS:-$(nproc)}
packages=(build-essential cmake ninja-build pkg-config clang clang-format libomp-dev libdnnl-dev libhwy-dev libstb-dev
          nlohmann-json3-dev libcli11-dev libfmt-dev doctest-dev)

step() { printf '\n=== %s (%s s)\n' "$1" "$SECONDS"; }

step "what the tests need"
if command -v dpkg-query >/dev/null; then
  missing=()
  for p in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    sudo=""; [ "$(id -u)" -eq 0 ] || sudo=sudo
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"
  fi
else
  for tool in cmake ninja g++ clang++ clang-format; do
    command -v "$tool" >/dev/null || { echo "tests/run.sh: '$tool' is missing; install the equivalents of: ${packages[*]}" >&2; exit 2; }
  done
fi

step "format"
git ls-files '*.hpp' '*.cpp' | xargs clang-format --dry-run -Werror

step "g++, warnings as errors, all tests"
cmake -S . -B build/gcc -G Ninja -DCMAKE_BUILD_TYPE=Release -DD3AD_WARNINGS_AS_ERRORS=ON -DCMAKE_CXX_COMPILER=g++
cmake --build build/gcc -j "$jobs"
ctest --test-dir build/gcc --output-on-failure

step "the program on the reference files"
build/gcc/d3ad verify tests/golden/*.safetensors
build/gcc/d3ad --help >/dev/null

step "the installed package in a project of its own"
cmake --install build/gcc --prefix "$PWD/build/installed" >/dev/null
cmake -S tests/consumer -B build/consumer -G Ninja -DCMAKE_PREFIX_PATH="$PWD/build/installed"
cmake --build build/consumer
build/consumer/consumer

step "clang, warnings as errors"
cmake -S . -B build/clang -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS=-O0 -DD3AD_WARNINGS_AS_ERRORS=ON -DCMAKE_CXX_COMPILER=clang++
cmake --build build/clang -j "$jobs"

step "ASan and UBSan"
cmake -S . -B build/asan -G Ninja -DCMAKE_BUILD_TYPE=None -DD3AD_EXAMPLES=OFF \
  -DCMAKE_CXX_FLAGS="-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all" -DCMAKE_CXX_COMPILER=g++
cmake --build build/asan -j "$jobs" --target unit
ASAN_OPTIONS=detect_leaks=0 build/asan/tests/unit

step "all passed"
