#!/usr/bin/env bash
# Tests unusual datasets: without good or test images, with wrong masks, with one kind of defect, with names in any
# script, with thousands of files, with damaged files. Each gives a result, or one line that says what to do.
#
#   tests/awkward_data.sh PROGRAM EXAMPLE      EXAMPLE: what examples/quickstart.sh made (data/board, model/)

set -uo pipefail
tests=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "$1")
sample=$(realpath "$2")/data/board model=$(realpath "$2")/model
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
. "$tests/expect.sh"

tiny=(--image-size 64 --base 32 --multipliers 1,1 --attention 2 --heads 2 --batch 2 --k 2 --steps 2 --iterations 2)
train() { # NAME: a model, trained on data/NAME
  runs 0 train --data "data/$1" --model "models/$1" "${tiny[@]}" --quiet
}
evaluate() { # CODE NAME
  runs "$1" evaluate --data "data/$2" --model "models/$2" --out "results/$2" --baselines --quiet
}
# set_of NAME: a small dataset: 4 good images for training; 2 good, 2 scratched and 2 stained ones for the test
set_of() {
  local to=data/$1 i defect
  mkdir -p "$to/train/good" "$to/test/good" "$to"/{test,ground_truth}/{scratch,stain}
  for i in 0 1 2 3; do cp "$sample/train/good/00$i.png" "$to/train/good"; done
  for i in 0 1; do
    cp "$sample/test/good/00$i.png" "$to/test/good"
    for defect in scratch stain; do
      cp "$sample/test/$defect/00$i.png" "$to/test/$defect"
      cp "$sample/ground_truth/$defect/00${i}_mask.png" "$to/ground_truth/$defect"
    done
  done
}
metric() { grep "^$1,all,d3ad,calibrated," "results/$1/metrics.csv" | cut -d, -f"$2"; } # NAME FIELD (6: I-AUROC, 7: P-AUROC)
finite() { [[ $1 =~ ^[0-9.]+$ ]] || wrong "$2 is '$1', expected a number"; }
unknown() { [ "$1" = nan ] || wrong "$2 is '$1', expected that it is not known"; }

# No good images.
set_of no_good && rm data/no_good/train/good/*
refuses "holds no good images" train --data data/no_good --model models/no_good "${tiny[@]}"
refuses "holds no good images" data data/no_good --quiet
[ ! -e models/no_good/config.json ] || wrong "a model was made from nothing"

# No test images: training and detection work, evaluation says what it needs.
set_of no_test && rm -r data/no_test/test data/no_test/ground_truth
train no_test
runs 0 data data/no_test --quiet
says "there are no test images"
refuses "has no test images" evaluate --data data/no_test --model models/no_test --out results/no_test --quiet
runs 0 detect --model models/no_test --threshold 1e9 data/no_test/train/good --quiet

# Masks of another size, masks with other names, no masks.
set_of masks
"$(dirname "$program")/make-sample" other --category board --size 64 --train 1 --good 0 --faulty 1 >out || wrong make-sample
cp other/board/ground_truth/scratch/000_mask.png data/masks/ground_truth/scratch
echo "no image" >data/masks/ground_truth/stain/000_mask.png
mv data/masks/ground_truth/scratch/001_mask.png data/masks/ground_truth/scratch/truth-of-001.png
train masks
evaluate 2 masks
says "scratch/000_mask.png' is 64 x 64, its image 128 x 128" err
says "stain/000_mask.png" err
finite "$(metric masks 7)" "P-AUROC with the masks that fit"
runs 2 data data/masks --quiet
says "masks belong to no test image"
rm -r data/masks/ground_truth
evaluate 0 masks
finite "$(metric masks 6)" "I-AUROC without masks"
unknown "$(metric masks 7)" "P-AUROC without masks"

# Empty masks: no pixel of these images counts as faulty.
set_of empty
runs 0 detect --model "$model" --threshold 1e9 --mask --out black --quiet data/empty/test/good/000.png
for mask in data/empty/ground_truth/*/*.png; do cp black/000.mask.png "$mask"; done
train empty
runs 0 data data/empty --quiet
says "masks of faulty images show nothing"
evaluate 0 empty
finite "$(metric empty 6)" "I-AUROC with empty masks"
unknown "$(metric empty 7)" "P-AUROC with empty masks"

# One kind of defect; then the same without good test images.
set_of one_kind && rm -r data/one_kind/{test,ground_truth}/stain
train one_kind
evaluate 0 one_kind
finite "$(metric one_kind 6)" "I-AUROC of one kind"
finite "$(metric one_kind 7)" "P-AUROC of one kind"
rm -r data/one_kind/test/good
evaluate 0 one_kind
unknown "$(metric one_kind 6)" "I-AUROC without good test images"
finite "$(metric one_kind 7)" "P-AUROC without good test images"
[ -s results/one_kind/report.html ] || wrong "no report without good test images"

# Names in any script, with spaces and quotes.
set_of "Prüfstück 検査"
name="data/Prüfstück 検査"
mv "$name/test/scratch" "$name/test/Kratzer & \"Risse\"" && mv "$name/ground_truth/scratch" "$name/ground_truth/Kratzer & \"Risse\""
mv "$name/train/good/000.png" "$name/train/good/größe, 01.png"
mv "$name/test/stain/000.png" "$name/test/stain/пятно <1>.png" && mv "$name/ground_truth/stain/000_mask.png" "$name/ground_truth/stain/пятно <1>_mask.png"
train "Prüfstück 検査"
evaluate 0 "Prüfstück 検査"
finite "$(metric "Prüfstück 検査" 7)" "P-AUROC with names in any script"
says "пятно &lt;1&gt;" "results/Prüfstück 検査/report.html"
says "Kratzer &amp; &quot;Risse&quot;" "results/Prüfstück 検査/report.html"
runs 0 detect --model "models/Prüfstück 検査" --threshold 1e9 --json --overlay --out bilder "$name/test/stain" --quiet
[ -s "bilder/пятно <1>.overlay.png" ] || wrong "no picture with a name in any script"

# Unreadable files among readable ones: training names them before it starts; detection and evaluation report them and
# go on.
set_of damaged
head -c 500 data/damaged/train/good/001.png >data/damaged/train/good/002.png
refuses "002.png" train --data data/damaged --model models/damaged "${tiny[@]}" --quiet
rm data/damaged/train/good/002.png
train damaged
: >data/damaged/test/good/001.png
echo "no image" >data/damaged/test/stain/001.png
evaluate 2 damaged
says "good/001.png" err
says "stain/001.png" err
finite "$(metric damaged 7)" "P-AUROC beside damaged images"
runs 2 data data/damaged --quiet
says "cannot be used"

# Thousands of files, most of them equal: counted and reported within seconds.
set_of many
for i in $(seq 3000); do ln data/many/train/good/000.png "data/many/train/good/copy$i.png"; done
start=$SECONDS
runs 0 data data/many --quiet
says 3004
says "training images are copies of others"
[ $((SECONDS - start)) -lt 120 ] || wrong "d3ad data took $((SECONDS - start)) s for 3000 files"
[ "$(wc -c <out)" -lt 4000 ] || wrong "d3ad data names every one of thousands of files"
runs 0 detect --model models/damaged --threshold 1e9 --format csv --batch 16 --quiet data/many/train/good
[ "$(wc -l <out)" -eq 3005 ] || wrong "detect gave $(wc -l <out) lines for 3004 files"

finish
