#!/usr/bin/env bash
# Tests d3ad ablate: its rows are equal to those of evaluate; it resumes after Ctrl-C; it refuses wrong input.
#
#   tests/ablate.sh PROGRAM EXAMPLE      arguments as of tests/program.sh, which calls this script

set -uo pipefail
program=$(realpath "$1")
example=$(realpath "$2")
repository=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
. "$repository/tests/expect.sh"

model=$example/model
of=(--model "$model" --data "$example/data" --category board)
ablate=(ablate "${of[@]}" --quiet --out)

# ---- a row has what evaluate writes with the same options ----
runs 0 "${ablate[@]}" swept --grid eta2=0,4 --grid lambda=0.5:1:0.25
counts "$(wc -l <swept/ablation.csv)" 13 "lines of ablation.csv"
counts "$(grep -c "^\*" out)" 3 "marked rows, and what the mark means"
says "Paper's protocol"
exists swept/ablation.svg
runs 0 evaluate "${of[@]}" --eta2 4 --lambda 0.75 --out results --no-report --quiet
for protocol in paper calibrated; do
  checks=$((checks + 1))
  row=$(grep "^board,4,0.75,$protocol," swept/ablation.csv | cut -d, -f5,9-)
  metrics=$(grep "^board,all,d3ad,$protocol," results/metrics.csv | cut -d, -f5-)
  [ -n "$row" ] && [ "$row" = "$metrics" ] || wrong "ablate has '$row' for $protocol, evaluate '$metrics'"
done
cp swept/ablation.csv whole.csv

# ---- the same command has nothing left to do; another grid uses the points that exist ----
"$program" ablate "${of[@]}" --out swept --grid eta2=0,4 --grid lambda=0.5:1:0.25 >out.txt 2>err || wrong "again: $(cat err)"
says "6 points, 6 of them done before" err
cmp -s swept/ablation.csv whole.csv || wrong "the second run changed ablation.csv"
runs 0 "${ablate[@]}" swept --grid lambda=1 --grid eta2=4 --grid sigma=4
counts "$(wc -l <swept/ablation.csv)" 3 "lines of a smaller grid"

# ---- Ctrl-C, then the same command resumes ----
grid=(--grid "eta2=0,4" --grid "lambda=0.5:1:0.25")
# At the first image's map, and when there are rows.
for when in 'compgen -G "stopped/work/maps-*/*.safetensors" >/dev/null' \
  '[ "$(cat stopped/ablation.csv 2>/dev/null | wc -l)" -gt 1 ]'; do
  rm -rf stopped
  stops INT 130 "$when" "${ablate[@]}" stopped "${grid[@]}"
  says "run the same command again to go on" err
  runs 0 "${ablate[@]}" stopped "${grid[@]}"
  cmp -s stopped/ablation.csv whole.csv || wrong "an ablation stopped when '$when' ended in other rows"
done

# ---- points that need a model of their own ----
"$program" ablate "${of[@]}" --out made --grid T-max=60,80 --grid dynamic=false >out.txt 2>err || wrong "T-max: $(cat err)"
says "2 calibrations" err
counts "$(find made/work -name config.json | wc -l)" 2 "calibrated models"
runs 0 detect --model "$(dirname "$(find made/work -name config.json | head -1)")" --threshold 1e9 \
  "$example/data/board/test/good/000.png"

# ---- what it refuses ----
refuses "--grid" ablate "${of[@]}" --out none
refuses "the nearest are 'lambda'" "${ablate[@]}" none --grid lamda=0
refuses "is given twice" "${ablate[@]}" none --grid lambda=0 --grid lambda=1
refuses "there is no value" "${ablate[@]}" none --grid lambda=
refuses "expected a number" "${ablate[@]}" none --grid lambda=little
refuses "the last would be at 0.9" "${ablate[@]}" none --grid lambda=0:1:0.3
refuses "expected 0 to 1" "${ablate[@]}" none --grid lambda=0,2
refuses "at most 2000" "${ablate[@]}" none --grid eta2=0:200:1 --grid lambda=0:1:0.01
refuses "holds no ResNet" "${ablate[@]}" none --grid extractor="$model/unet.safetensors"
refuses "is not a folder" ablate --model nowhere --data "$example/data" --category board --out none --grid lambda=1
refuses "there are: board" ablate --model "$model" --data "$example/data" --category boards --out none --grid lambda=1
[ ! -e none ] || wrong "a refused ablation left a folder"
sed 's/"model": "/"model": "0/' swept/ablation.json >changed.json && mv changed.json swept/ablation.json
refuses "holds rows of another model" "${ablate[@]}" swept --grid lambda=1

finish
