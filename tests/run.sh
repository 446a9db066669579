#!/usr/bin/env bash
# Runs the tests, from a fresh clone: installs what is missing (Debian, Ubuntu) and builds what it tests.
#
#   tests/run.sh                 what every change has to pass: about 25 minutes on two cores
#   tests/run.sh --everything    all tests: before a release, and at the end of a large change
#   D3AD_JOBS=4 tests/run.sh     with four jobs at a time instead of one for each core
#
# Every change: format; g++ with warnings as errors; a test program for each folder; operations on the CPU and on an
# emulated GPU; the program on the reference files and from end to end; the installed package in a project of its own,
# header-only and compiled; clang for library and program; ASan and UBSan for readers, core and operations;
# nvcc for one GPU architecture if it is installed.
# --everything adds: the CUDA device on an emulated GPU; nvcc for all GPU architectures; cuDNN's engines for each of them
# (cuda_plans/); the program on the emulated GPU and on several processes; benchmarks; figures; unusual datasets; the
# report in a browser; every consumer; AArch64; every header alone; all tests with clang, and all under the sanitizers.

set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=passive
jobs=${D3AD_JOBS:-$(nproc)}
here=$PWD
everything=no
case "${1:-}" in
  "") ;;
  --everything) everything=yes ;;
  *) echo "tests/run.sh: expected --everything or nothing, got $1" >&2; exit 2 ;;
esac
step() { printf '\n=== %s (%s s)\n' "$1" "$SECONDS"; }
# Several files are compiled as one, so that templates that they share are instantiated once.
configure() { cmake -S . -B "$1" -G Ninja -DCMAKE_UNITY_BUILD=ON "${@:2}"; }
build() { cmake --build "$1" -j "$jobs" "${@:2}"; }
. cmake/need.sh

step "what the tests need"
need build-essential cmake ninja-build pkg-config clang clang-format libomp-dev libdnnl-dev libstb-dev \
  nlohmann-json3-dev libcli11-dev libfmt-dev doctest-dev libbenchmark-dev libopenmpi-dev openmpi-bin python3-pytest mypy

step "format"
git ls-files '*.hpp' '*.cpp' '*.inl' '*.h' '*.cu' '*.cuh' | xargs clang-format --dry-run -Werror

step "g++, warnings as errors"
configure build/gcc -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=g++ -DD3AD_WARNINGS_AS_ERRORS=ON -DD3AD_MPI=ON \
  -DD3AD_TESTS_FLAGS=-O1 -DD3AD_CUDA=OFF
build build/gcc --target d3ad_program make_sample pretrain first_tensor detect unit test_cuda_emulated

step "a test program a folder"
ctest --test-dir build/gcc --output-on-failure -j "$jobs" -R '^(test_.*|include_rule|device_missing)$'

step "the program on the reference files"
build/gcc/d3ad verify tests/golden/*.safetensors

step "weights_tools, the part that needs no PyTorch"
python=$([ -x /usr/bin/python3 ] && echo /usr/bin/python3 || command -v python3)  # the one for which packages are installed
(cd weights_tools && "$python" -m pytest -q -p no:cacheprovider tests && "$python" -m mypy --cache-dir=/dev/null .)

step "the example from end to end, on small data"
rm -rf build/example
D3AD_BUILD=$here/build/gcc D3AD_SAMPLE="--train 24 --good 8 --faulty 4 --size 128" \
  D3AD_TRAIN="--iterations 30 --image-size 128" examples/quickstart.sh build/example
tests/program.sh build/gcc/d3ad build/example

step "the installed package in projects of their own"
cmake -S . -B build/package -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=g++ -DD3AD_TESTS=OFF \
  -DD3AD_EXAMPLES=OFF -DD3AD_CUDA=OFF -DD3AD_MPI=ON
build build/package
cmake --install build/package --prefix "$here/build/installed" >/dev/null
consume() { # NAME [options]: configure, build and run tests/consumer
  cmake -S tests/consumer -B "build/consumer_$1" -G Ninja "${@:2}"
  build "build/consumer_$1"
  "build/consumer_$1/consumer"
}
consume package -DCMAKE_PREFIX_PATH="$here/build/installed"
consume package_compiled -DCMAKE_PREFIX_PATH="$here/build/installed" -DD3AD_COMPILED_FORM=ON
tests/mixed_forms.sh "$here/build/installed" build/mixed
cmake -S examples/embed -B build/embed -G Ninja -DCMAKE_PREFIX_PATH="$here/build/installed"
build build/embed
build/embed/inspection build/example/model build/example/data/board/test/good/000.png || [ $? -eq 1 ]  # 1: faulty

step "clang, warnings as errors; without MPI and CUDA the program refuses to be one of several, and a GPU"
configure build/clang -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS=-O0 -DCMAKE_CXX_COMPILER=clang++ \
  -DD3AD_WARNINGS_AS_ERRORS=ON -DD3AD_MPI=OFF -DD3AD_CUDA=OFF
build build/clang --target d3ad_program first_tensor detect make_sample
tests/without_mpi.sh build/clang/d3ad
tests/device.sh build/clang/d3ad

step "ASan and UBSan"
configure build/asan -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_COMPILER=g++ -DD3AD_EXAMPLES=OFF -DD3AD_CUDA=OFF \
  -DCMAKE_CXX_FLAGS="-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all -DD3AD_CHECK_BORDERS=1"
build build/asan --target test_core test_weights test_data test_ops
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:detect_stack_use_after_return=0
for name in core weights data ops; do "build/asan/tests/test_$name"; done

step "nvcc, one GPU architecture"
if [ "$everything" = yes ]; then
  echo "all of them below"
elif command -v nvcc >/dev/null; then
  configure build/cuda -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=g++ -DD3AD_WARNINGS_AS_ERRORS=ON -DD3AD_MPI=OFF \
    -DD3AD_TESTS=OFF -DD3AD_EXAMPLES=OFF -DD3AD_CUDA=AUTO -DCMAKE_CUDA_ARCHITECTURES=90-real
  if cmake --build build/cuda --target help | grep -q "^d3ad_cuda:"; then
    build build/cuda --target d3ad_cuda
  else
    echo "left out: there is no cuDNN"
  fi
else
  echo "left out: there is no nvcc"
fi

if [ "$everything" = yes ]; then
  step "everything: g++, all targets, all GPU architectures, headers alone"
  configure build/all -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=g++ -DD3AD_WARNINGS_AS_ERRORS=ON -DD3AD_BENCH=ON \
    -DD3AD_MPI=ON -DD3AD_TESTS_FLAGS=-O1 -DD3AD_BENCH_FLAGS=-O0
  build build/all
  ctest --test-dir build/all --output-on-failure -j "$jobs" -E '^test_'
  [ ! -x build/all/tests/unit_cuda ] || build/all/tests/unit_cuda | tail -1  # the number of comparisons that need a GPU

  step "everything: the GPU's benchmark from end to end, with stand-ins for what is not here"
  (cd bench/gpu && "$python" -B -m pytest -q -p no:cacheprovider report_test.py)
  bench/gpu/run_test.sh

  step "everything: the benchmarks verify what they time, at small sizes"
  for part in ops models pipeline; do build/all/bench/bench "$part" --small --benchmark_format=json >"build/bench_$part.json"; done

  step "everything: figures, awkward datasets, the report in a browser"
  tests/figures.sh build/gcc/d3ad build/example
  tests/awkward_data.sh build/gcc/d3ad build/example
  need chromium
  tests/report_browser.sh build/example/results/report.html build/example/screenshots

  step "everything: every way to use the package"
  cmake --install build/all --prefix "$here/build/installed_all" >/dev/null
  consume package_mpi -DCMAKE_PREFIX_PATH="$here/build/installed_all" -DD3AD_COMPONENT=mpi
  OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe -n 2 build/consumer_package_mpi/consumer
  if [ -e "$here/build/all/kernels/libd3ad_cuda.a" ]; then
    consume package_cuda -DCMAKE_PREFIX_PATH="$here/build/installed_all" -DD3AD_COMPONENT=cuda
  fi
  consume folder -DD3AD_SOURCE="$here" -DD3AD_CUDA=OFF
  PKG_CONFIG_PATH=$(dirname "$(find "$here/build/installed_all" -name d3ad.pc)") consume pkg_config -DD3AD_PKG_CONFIG=ON

  step "everything: AArch64"
  need g++-aarch64-linux-gnu qemu-user
  tests/aarch64/run.sh build/aarch64

  step "everything: all tests with clang, and all under ASan and UBSan"
  build build/clang --target unit pretrain
  build build/asan --target unit
  ctest --test-dir build/asan --output-on-failure -L unit
fi

step "all passed"
