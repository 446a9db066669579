#!/usr/bin/env bash
# Compiles all headers for AArch64 and runs our own kernels on it, in QEMU.
#
#   tests/aarch64/run.sh FOLDER      FOLDER: the build folder. Needs g++-aarch64-linux-gnu, qemu-user, and the headers of
#                                    oneDNN, nlohmann-json and stb, which are the same for every processor

set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1/include"
for header in /usr/include/oneapi /usr/include/dnnl*.h* /usr/include/nlohmann /usr/include/stb; do
  ln -sfn "$header" "$1/include/"
done
# Linked statically, so that QEMU needs no libraries; the linker warns of functions that need shared ones.
aarch64-linux-gnu-g++ -std=c++20 -O2 -fopenmp -static -Wall -Wextra -Wno-psabi -I"$here/include" -isystem "$1/include" \
  -isystem "$1/include/stb" "$here/tests/aarch64/kernels.cpp" -o "$1/kernels" \
  -Wl,--unresolved-symbols=ignore-all,--no-warnings
qemu-aarch64 "$1/kernels"
