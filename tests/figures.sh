#!/usr/bin/env bash
# Tests figures and tables of the program d3ad: each in every format, and with wrong input.
#
#   tests/figures.sh PROGRAM EXAMPLE      EXAMPLE: what examples/quickstart.sh made (data/board, model/)

set -uo pipefail
program=$(realpath "$1")
example=$(realpath "$2")
repository=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
. "$repository/tests/expect.sh"

data=$example/data photo=$example/data/board/test/good/000.png
model=(--model "$example/model" --data "$data" --category board)

is_png() { # NAME
  exists "$1"
  [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ] || wrong "$1 is no PNG"
}
is_svg() { # NAME PICTURES
  exists "$1"
  [ "$(head -c 4 "$1")" = "<svg" ] && [ "$(tail -1 "$1")" = "</svg>" ] || wrong "$1 is no SVG"
  counts "$(grep -c '<image .*href="data:image/png;base64,' "$1")" "$2" "pictures in $1"
}

# ---- the names ----
runs 0 figure --help
cp out names
for name in grid noising omega scaling bins; do
  says "$name" names
  runs 0 figure "$name" --help
  says "--out"
done
refuses "say which; there are grid, noising, omega, scaling, bins" figure
refuses "there is no 'gird'; there are grid, noising, omega, scaling, bins; the nearest is 'grid'" figure gird --out x.png

# ---- every figure in both formats ----
runs 0 figure noising "$photo" --out noising.png
is_png noising.png
runs 0 figure noising "$photo" --out deep/er/noising.svg --t-max 800 --columns 5 --size 64 --cell 64 --seed 3
is_svg deep/er/noising.svg 10
says ">t = 800<" deep/er/noising.svg
runs 0 figure grid "${model[@]}" --quiet --out grid.png
is_png grid.png
runs 0 figure grid "${model[@]}" --quiet --out grid.svg --defects scratch,good --each 2
is_svg grid.svg 21  # four rows of five, and the bar of colours
runs 0 figure grid "${model[@]}" --quiet --out one.svg --image scratch/000 --image good/001.png --cell 64
is_svg one.svg 11
runs 0 figure scaling "${model[@]}" --quiet --out scaling.png --defects part
is_png scaling.png
runs 0 figure scaling "${model[@]}" --quiet --out scaling.svg --image part/000
is_svg scaling.svg 9
runs 0 figure bins "${model[@]}" --quiet --out bins.png
is_png bins.png
runs 0 figure bins "${model[@]}" --quiet --out bins.svg
is_svg bins.svg 0
says ">training (" bins.svg
says ">faulty tests (16)<" bins.svg
runs 0 figure omega "${model[@]}" --quiet --out omega.svg --values 1,0 --tests 2 --image part/001 --image stain/003
is_svg omega.svg 6
says ">ω = 0<" omega.svg
says ">PRO<" omega.svg
says "11 test images" omega.svg  # two of each kind, and stain/003
runs 0 figure omega "${model[@]}" --quiet --out omega.png --values 0.5 --tests 1
is_png omega.png
# Settings have an effect: another guidance gives another reconstruction; a file may give some options of a command.
runs 0 figure grid "${model[@]}" --quiet --out other.svg --image scratch/000 --image good/001.png --cell 64 --eta2 9
cmp -s one.svg other.svg && wrong "--eta2 changed nothing"
echo '{"eta2": 9, "cell": 64}' >options.json
runs 0 figure grid "${model[@]}" --quiet --out same.svg --image scratch/000 --image good/001.png --config options.json
cmp -s other.svg same.svg || wrong "options in a file give another figure"
echo '{"colour": 9}' >typo.json
refuses "d3ad figure grid has no option 'colour'" figure grid "${model[@]}" --out x.svg --config typo.json

# ---- wrong input: one sentence and no file ----
refuses "has to end in .png or .svg" figure grid "${model[@]}" --out x.jpg
refuses "has to end in .png or .svg" figure noising "$photo" --out x
refuses "--out" figure bins "${model[@]}"
refuses "is not a folder" figure bins --model nowhere --data "$data" --category board --out x.png
refuses "is not there" figure grid --model "$example/model" --data nowhere --out x.png
refuses "there are: board" figure omega --model "$example/model" --data "$data" --category boards --out x.png
refuses "there is no test image 'scrach/000' in 'board'; the nearest are 'scratch/000'" \
  figure grid "${model[@]}" --image scrach/000 --out x.png
refuses "there is no kind 'scrach'" figure scaling "${model[@]}" --defects scrach --out x.png
refuses "excludes" figure grid "${model[@]}" --image scratch/000 --each 2 --out x.png
refuses "--values" figure omega "${model[@]}" --values 0,2 --out x.png
refuses "a value comes twice" figure omega "${model[@]}" --values 0.5,0.5 --out x.png
refuses "--omega" figure scaling "${model[@]}" --omega 1 --out x.png
refuses "--cell" figure grid "${model[@]}" --cell 1 --out x.png
refuses "expected 1 to 999" figure noising "$photo" --t-max 1000 --out x.png
refuses "expected 2 to 50" figure noising "$photo" --columns 51 --out x.png
refuses "show fewer or smaller pictures" figure noising "$photo" --columns 50 --cell 1024 --size 32 --out x.png
refuses "nowhere.png" figure noising nowhere.png --out x.png
mkdir folder.png
refuses "is a folder" figure noising "$photo" --size 32 --out folder.png
counts "$(find . -name 'x*' | wc -l)" 0 "figures that were not to be"
# An image that cannot be read is reported; the others are used.
cp -r "$data" spoilt
head -c 200 "$photo" >spoilt/board/test/good/000.png
runs 2 figure bins --model "$example/model" --data spoilt --category board --quiet --out fewer.svg
says "left out" err
says ">good tests (7)<" fewer.svg
# Ctrl-C ends it with 130 and without a file.
"$program" figure omega "${model[@]}" --out stopped.png 2>err &
pid=$!
catches_interrupt() { (( 16#$(awk '/^SigCgt/ { print substr($2, 9) }' /proc/$pid/status 2>/dev/null || echo 0) & 2 )); }
for _ in $(seq 300); do catches_interrupt && break; sleep 0.1; done
kill -INT $pid 2>/dev/null
wait $pid
counts $? 130 "the code of a figure that was stopped"
says "stopped" err
[ ! -e stopped.png ] || wrong "a figure that was stopped was written"

# ---- tables ----
runs 0 evaluate "${model[@]}" --out results --no-report --quiet
runs 0 table results
says "I-AUROC / P-AUROC / PRO, percent"
says "Average of 1"
mkdir -p bottle
sed 's/^board,/bottle,/' results/metrics.csv >bottle/metrics.csv
runs 0 table results bottle --methods PatchCore,D3AD
says "MVTec AD: "
says "PatchCore"
says "100.0 /  98.6 /  96.0"
says "97.2 /  97.4 /  93.3"
runs 0 table bottle --all-categories --methods all --protocol calibrated
counts "$(wc -l <out)" 19 "lines of the whole table"
runs 0 table results --dataset visa
says "97.9"
runs 0 table results/metrics.csv bottle --format csv --out table.csv
counts "$(head -1 table.csv | grep -c '^category,images,ours i_auroc,ours p_auroc,ours pro,D3AD i_auroc,D3AD p_auroc,D3AD pro$')" 1 \
  "the header of CSV"
counts "$(grep -c '^Bottle,24,' table.csv)" 1 "rows of a category"
runs 0 table bottle --format markdown
says "| Category | ours | D3AD (paper) |"
runs 0 table bottle --format latex
says '\begin{tabular}{lrr}'
says '\end{tabular}'
refuses "RESULTS" table
refuses "nowhere" table nowhere
refuses "has no metrics.csv" table "$data"
refuses "come twice" table results results
refuses "has no results of 'vae_only' under the protocol 'paper'" table results --method vae_only
refuses "the paper has no method 'Patchcore'" table bottle --methods Patchcore
refuses "--dataset" table results --all-categories
refuses "format" table results --format html
refuses "cannot write" table results --out nowhere/table.txt

finish
