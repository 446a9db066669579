# Tests wrong options of every program of the project: one line on stderr, exit code 2. Sourced by tests/program.sh.

wrong_options() { # PROGRAM TEXT ARGUMENTS...: refused with the text and a hint at --help
  local program=$1 text=$2
  shift 2
  refuses "$text" "$@"
  says "$(basename "$program"): " err
  says "(see $(basename "$program") --help)" err
  [ ! -s out ] || wrong "$program $* printed on stdout too"
}
helps() { # PROGRAM
  local program=$1
  runs 0 --help
  says "--help"
  [ ! -s err ] || wrong "$program --help printed on stderr"
}

wrong_options "$program" "--iterations" train --data "$data" --category board --model x --iterations
wrong_options "$program" "frobnicate" detect --model x y.png --frobnicate
folder=$(dirname "$program")
if [ -x "$folder/make-sample" ]; then
  helps "$folder/make-sample"
  wrong_options "$folder/make-sample" "OUT is required"
  wrong_options "$folder/make-sample" "frobnicate" sample --frobnicate
  wrong_options "$folder/make-sample" "--size" sample --size 7
  wrong_options "$folder/make-sample" "--category" sample --category rope
  [ ! -e sample ] || wrong "make-sample made something of wrong options"
fi
if [ -x "$folder/pretrain" ]; then
  helps "$folder/pretrain"
  wrong_options "$folder/pretrain" "subcommand"
  wrong_options "$folder/pretrain" "--out is required" extractor
  wrong_options "$folder/pretrain" "--steps" vae --out v.safetensors --steps many
  wrong_options "$folder/pretrain" "frobnicate" vae --out v.safetensors --frobnicate
fi
# The measurements, if they were built.
if [ -x "$folder/memory" ]; then
  helps "$folder/memory"
  wrong_options "$folder/memory" "IMAGES" three
  wrong_options "$folder/memory" "IMAGES" 0
fi
if [ -x "$folder/d3ad_peer" ]; then
  helps "$folder/d3ad_peer"
  wrong_options "$folder/d3ad_peer" "--threads" --threads two
fi
if [ -x "$folder/tiling" ]; then
  helps "$folder/tiling"
  wrong_options "$folder/tiling" "--model is required" --data x --category y
fi
if [ -x "$folder/bench/bench" ]; then
  helps "$folder/bench/bench"
  wrong_options "$folder/bench/bench" "PART is required"
  wrong_options "$folder/bench/bench" "not a multiple of 128" ops --image-size 100
  wrong_options "$folder/bench/bench" "frobnicate" ops --frobnicate
  wrong_options "$folder/bench/bench" "use json" ops --benchmark_format=csv
fi
