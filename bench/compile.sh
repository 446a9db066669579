#!/usr/bin/env bash
# What including d3ad costs: seconds and memory of the compiler and the object's size, for a ten-line detection program
# in both forms and for each front door alone. Run it with nothing else running.
#
#   bench/compile.sh [COMPILER]           g++ by default; prints a Markdown table
#   bench/compile.sh --program            also builds the program d3ad from an empty folder, and says how long it took

set -euo pipefail
cd "$(dirname "$0")/.."
program=no
[ "${1:-}" = --program ] && { program=yes; shift; }
compiler=${1:-g++}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/ten_lines.cpp" <<'END'
#include <d3ad/detect.hpp>
#include <cstdio>

int main(int, char** argv) {
  d3ad::Context<d3ad::Cpu> ctx;
  d3ad::Detector<d3ad::Cpu> detector(ctx, argv[1]);
  const auto found = detector(d3ad::read_image(argv[2]));
  std::printf("%s: %.3f\n", found.faulty ? "faulty" : "good", found.score);
}
END
for door in detect train evaluate networks d3ad; do echo "#include <d3ad/$door.hpp>" >"$work/$door.cpp"; done
echo "| file | form | seconds | memory, MiB | object, KiB |"
echo "|---|---|---|---|---|"
for file in ten_lines detect train evaluate networks d3ad; do
  for form in compiled headers; do
    options=(-std=c++20 -O2 -fopenmp -Iinclude)
    [ "$form" = compiled ] && options+=(-DD3AD_COMPILED)
    python3 - "$compiler" "${options[@]}" -c "$work/$file.cpp" -o "$work/out.o" <<'END' >"$work/measured"
import os, resource, subprocess, sys, time
start = time.monotonic()
subprocess.run(sys.argv[1:], check=True)
print(f"{time.monotonic() - start:.1f} | {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024}")
END
    echo "| $file | $form | $(cat "$work/measured") | $(($(stat -c %s "$work/out.o") / 1024)) |"
  done
done
if [ "$program" = yes ]; then
  cmake -S . -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DD3AD_TESTS=OFF -DD3AD_CUDA=OFF -DD3AD_MPI=OFF >/dev/null
  start=$SECONDS
  cmake --build "$work/build" --target d3ad_program >/dev/null
  echo "the program d3ad from an empty folder: $((SECONDS - start)) s"
fi
