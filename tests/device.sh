#!/usr/bin/env bash
# Tests the program on a GPU: training and detection with --device cuda agree with those on the CPU; wrong input is
# refused.
#
#   tests/device.sh PROGRAM MAKE-SAMPLE          PROGRAM: built with CUDA; on a machine with a GPU, or for the emulated one
#   tests/device.sh PROGRAM                      without a GPU: a program with or without CUDA says that there is none

set -uo pipefail
program=$(realpath "$1")
sample=${2:+$(realpath "$2")}
tests=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
. "$tests/expect.sh"

refuses "expected cpu, cuda or cuda:N" detect --model model --device gpu photo.png
refuses "expected cpu, cuda or cuda:N" detect --model model --device cuda:x photo.png
refuses "float or bfloat16" detect --model model --precision half photo.png
refuses "float or bfloat16" verify --precision tf32 "$tests/golden/schedule.safetensors"
refuses "means nothing with --device cuda" detect --model model --device cuda --plan some.plan photo.png
refuses "means nothing with --device cuda" detect --model model --device cuda --memory lean photo.png

if [ -z "$sample" ]; then
  runs 2 detect --model model --device cuda photo.png
  counts "$(grep -cE "no NVIDIA GPU|built without CUDA" err)" 1 "sentences about the missing GPU"
  counts "$(wc -l <err)" 1 "lines on stderr"
  runs 2 verify --device cuda "$tests/golden/schedule.safetensors" "$tests/golden/dic.safetensors"
  counts "$(grep -cE "no NVIDIA GPU|built without CUDA" err)" 1 "sentences about the missing GPU"
  counts "$(wc -l <err)" 1 "lines on stderr"
  finish
  exit
fi

# Reference files of the small networks, of the map, and of something that is computed on the host.
reference=()
for name in unet_small tiny_vae anomaly_map schedule; do reference+=("$tests/golden/$name.safetensors"); done
allowed() { # PRECISION NETWORK MAP: the tolerances that are printed
  runs 0 verify --device cuda --precision "$1" "${reference[@]}"
  says "schedule.safetensors (schedule, on the host)"
  counts "$(grep -c "ok$" out)" 9 "tensors that are ok in $1"
  counts "$(grep -cE "(eps|latent|image) .*allowed $2 " out)" 3 "networks to $2 in $1"
  counts "$(grep -cE "(_map|score) .*allowed $3 " out)" 4 "maps to $3 in $1"
}
allowed float 1.0e-04 1.0e-05
allowed tf32 2.0e-02 1.0e-05
allowed half 2.0e-02 2.0e-03
allowed bfloat16 1.5e-01 1.6e-02
cp "${reference[0]}" changed.safetensors
printf '\x42' | dd of=changed.safetensors bs=1 seek=$(($(stat -c %s changed.safetensors) - 1)) conv=notrunc status=none
runs 1 verify --device cuda changed.safetensors
says OVER

"$sample" data --category board --train 8 --good 2 --faulty 1 --size 64 >/dev/null || wrong "make-sample"
refuses "GPU 9 was asked for" detect --model model --device cuda:9 photo.png
small=(--image-size 64 --base 32 --multipliers 1,1 --attention 2 --heads 2 --batch 2 --k 2 --steps 2 --iterations 3
  --gamma 1 --held-back 0.4 --quiet --threads 1)
runs 0 train --data data --category board --model host "${small[@]}"
runs 0 train --data data --category board --model device --device cuda "${small[@]}"
runs 0 train --data data --category board --model in_half --device cuda --precision half "${small[@]}"
runs 0 train --data data --category board --model in_bfloat16 --device cuda --precision bfloat16 "${small[@]}"

# close FILE FILE TOLERANCE: both have as many numbers, whose pairs differ by at most TOLERANCE times the larger one.
close() {
  checks=$((checks + 1))
  paste "$1" "$2" | awk -v tolerance="$3" 'NF != 2 { bad = 1 } {
      d = $1 - $2; if (d < 0) d = -d; a = $1 < 0 ? -$1 : $1; b = $2 < 0 ? -$2 : $2; m = a > b ? a : b
      if (d > tolerance * m) bad = 1 } END { exit bad || NR == 0 }' ||
    wrong "$1 and $2 differ by more than $3: $(paste "$1" "$2" | tr '\n' ';')"
}
column() { tail -n +2 "$1" | cut -d, -f2 >"$2"; }
column host/loss.csv host.losses
column device/loss.csv device.losses
close host.losses device.losses 1e-3
column in_half/loss.csv half.losses
close host.losses half.losses 1e-2
column in_bfloat16/loss.csv bfloat16.losses
close host.losses bfloat16.losses 5e-2

# scores MODEL FILE OPTIONS...: of all test images
scores() {
  local model=$1 file=$2
  shift 2
  runs 1 detect --model "$model" --threshold -1 --format csv --quiet "$@" data/board/test/*
  column out "$file"
}
scores host cpu
scores host cuda --device cuda
close cpu cuda 1e-3
scores host tf32 --device cuda --precision tf32
close cpu tf32 3e-2
scores host half --device cuda --precision half
close cpu half 3e-2
scores host bfloat16 --device cuda --precision bfloat16
close cpu bfloat16 2e-1
scores host alone --device cuda --batch 1
close cuda alone 1e-4
scores host narrow --device cuda --weights bfloat16
scores host narrow_cpu --weights bfloat16
close narrow narrow_cpu 1e-3
scores device trained
close cpu trained 5e-2
runs 0 evaluate --model device --data data --category board --out results --device cuda --quiet
exists results/report.html
runs 0 ablate --model device --data data --category board --out swept --device cuda --quiet --grid lambda=0.85,1 \
  --grid map-layers=2+3,3
for protocol in paper calibrated; do
  checks=$((checks + 1))
  row=$(grep "^board,0.85,2+3,$protocol," swept/ablation.csv | cut -d, -f9-)
  [ -n "$row" ] && [ "$row" = "$(grep "^board,all,d3ad,$protocol," results/metrics.csv | cut -d, -f6-)" ] ||
    wrong "ablate on the GPU has '$row' for $protocol, evaluate other numbers"
done

finish
