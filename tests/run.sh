#!/usr/bin/env bash
# The tests, from a fresh clone: installs what is missing (Debian, Ubuntu), then format check, builds with g++ and clang
# with warnings as errors, all tests, the tests under ASan and UBSan, the program on the reference files, weights_tools,
# the example from end to end on small data with its report in a browser, the program on several processes
# (tests/parallel.sh, one of CTest's), without MPI and without CUDA, what cuDNN has for every GPU (cuda_plans/), the
# package in projects of their own, and the kernels on AArch64.
#
#   tests/run.sh            everything
#   D3AD_JOBS=4 tests/run.sh

set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=passive
jobs=${D3AD_JOBS:-$(nproc)}
here=$PWD
step() { printf '\n=== %s (%s s)\n' "$1" "$SECONDS"; }
# Several files are compiled as one, which instantiates what they share once: half the time for tests and program.
configure() { cmake -S . -B "$1" -G Ninja -DD3AD_PRECOMPILE=ON -DCMAKE_UNITY_BUILD=ON "${@:2}"; }
build() { cmake --build "$1" -j "$jobs" "${@:2}"; }
. cmake/need.sh

step "what the tests need"
need build-essential cmake ninja-build pkg-config clang clang-format libomp-dev libdnnl-dev libstb-dev \
  nlohmann-json3-dev libcli11-dev libfmt-dev doctest-dev libbenchmark-dev libopenmpi-dev openmpi-bin

step "format"
git ls-files '*.hpp' '*.cpp' '*.inl' '*.h' '*.cu' '*.cuh' | xargs clang-format --dry-run -Werror

# With nvcc and cuDNN in place this compiles and links the CUDA device for all GPUs too; its tests run on an emulated GPU.
step "g++, warnings as errors, all tests"
configure build/gcc -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=g++ -DD3AD_WARNINGS_AS_ERRORS=ON \
  -DD3AD_BENCH=ON -DD3AD_MPI=ON -DD3AD_TESTS_FLAGS=-O1 -DD3AD_BENCH_FLAGS=-O0
build build/gcc
ctest --test-dir build/gcc --output-on-failure -j "$jobs"
[ ! -x build/gcc/tests/unit_cuda ] || build/gcc/tests/unit_cuda | tail -1  # how many comparisons want a GPU

step "the program on the reference files"
build/gcc/d3ad verify tests/golden/*.safetensors

step "weights_tools, the part that needs no PyTorch"
need python3-pytest mypy
python=$([ -x /usr/bin/python3 ] && echo /usr/bin/python3 || command -v python3)  # the one the packages are for
(cd weights_tools && "$python" -m pytest -q -p no:cacheprovider tests && "$python" -m mypy --cache-dir=/dev/null .)

step "the GPU's benchmark from end to end, with stand-ins for what is not here"
(cd bench/gpu && "$python" -B -m pytest -q -p no:cacheprovider report_test.py)
bench/gpu/run_test.sh

step "the benchmarks verify what they time, at small sizes"
for part in ops models pipeline; do build/gcc/bench/bench "$part" --small --benchmark_format=json >"build/bench_$part.json"; done

step "the example from end to end, on small data"
rm -rf build/example
D3AD_BUILD=$here/build/gcc D3AD_SAMPLE="--train 24 --good 8 --faulty 4 --size 128" \
  D3AD_TRAIN="--iterations 30 --image-size 128" examples/quickstart.sh build/example
tests/program.sh build/gcc/d3ad build/example
tests/figures.sh build/gcc/d3ad build/example
tests/awkward_data.sh build/gcc/d3ad build/example

step "the example's report in a browser"
need chromium
tests/report_browser.sh build/example/results/report.html build/example/screenshots

step "the installed package in projects of their own"
cmake --install build/gcc --prefix "$here/build/installed" >/dev/null
consume() { # NAME [options]: configure, build and run tests/consumer
  cmake -S tests/consumer -B "build/consumer_$1" -G Ninja "${@:2}"
  build "build/consumer_$1"
  "build/consumer_$1/consumer"
}
consume package -DCMAKE_PREFIX_PATH="$here/build/installed"
consume package_mpi -DCMAKE_PREFIX_PATH="$here/build/installed" -DD3AD_COMPONENT=mpi
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe -n 2 build/consumer_package_mpi/consumer
if [ -e "$here/build/gcc/kernels/libd3ad_cuda.a" ]; then
  consume package_cuda -DCMAKE_PREFIX_PATH="$here/build/installed" -DD3AD_COMPONENT=cuda
fi
consume folder -DD3AD_SOURCE="$here" -DD3AD_CUDA=OFF
PKG_CONFIG_PATH=$(dirname "$(find "$here/build/installed" -name d3ad.pc)") consume pkg_config -DD3AD_PKG_CONFIG=ON
cmake -S examples/embed -B build/embed -G Ninja -DCMAKE_PREFIX_PATH="$here/build/installed"
build build/embed
build/embed/inspection build/example/model build/example/data/board/test/good/000.png || [ $? -eq 1 ]  # 1: faulty

step "AArch64"
need g++-aarch64-linux-gnu qemu-user
tests/aarch64/run.sh build/aarch64

step "clang, warnings as errors; without MPI and CUDA the program refuses to be one of several, and a GPU"
configure build/clang -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS=-O0 -DCMAKE_CXX_COMPILER=clang++ \
  -DD3AD_WARNINGS_AS_ERRORS=ON -DD3AD_MPI=OFF -DD3AD_CUDA=OFF
build build/clang --target unit ops_cuda_emulated d3ad_program first_tensor detect pretrain make_sample
tests/without_mpi.sh build/clang/d3ad
tests/device.sh build/clang/d3ad

step "ASan and UBSan"
configure build/asan -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_COMPILER=g++ -DD3AD_EXAMPLES=OFF -DD3AD_CUDA=OFF \
  -DCMAKE_CXX_FLAGS="-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all -DD3AD_CHECK_BORDERS=1"
build build/asan --target unit ops_cuda_emulated
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:detect_stack_use_after_return=0
build/asan/tests/unit
build/asan/tests/ops_cuda_emulated

step "all passed"
