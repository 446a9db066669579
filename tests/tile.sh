#!/usr/bin/env bash
# Tests models of tiles (train --tile) with rectangular images, from training to the report; and images of 512 pixels, with
# latents of 64.
#
#   tests/tile.sh PROGRAM

set -uo pipefail
program=$(realpath "$1")
tests=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
. "$tests/expect.sh"
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive

# picture FILE WIDTH HEIGHT SEED [KIND]: a BMP of noisy stripes; "dot": with a white square of 12 pixels at (100, 60);
# "mask": black except for that square
picture() {
  LC_ALL=C awk -v w="$2" -v h="$3" -v seed="$4" -v kind="${5:-}" '
    function word(v, n) { for (; n > 0; --n) { printf "%c", v % 256; v = int(v / 256) } }
    BEGIN {
      srand(seed)
      pad = (4 - w * 3 % 4) % 4
      printf "BM"; word(54 + h * (w * 3 + pad), 4); word(0, 4); word(54, 4)
      word(40, 4); word(w, 4); word(h, 4); word(1, 2); word(24, 2); word(0, 4); word(h * (w * 3 + pad), 4)
      for (i = 0; i < 4; ++i) word(0, 4)
      for (y = h - 1; y >= 0; --y) {
        for (x = 0; x < w; ++x) {
          v = int(90 + 40 * sin(0.4 * x) + 10 * rand())
          inside = x >= 100 && x < 112 && y >= 60 && y < 72
          if (kind == "mask") v = inside ? 255 : 0
          if (kind == "dot" && inside) v = 255
          for (c = 0; c < 3; ++c) word(v, 1)
        }
        word(0, pad)
      }
    }' >"$1"
}
size() { od -An -v -t u1 -j 16 -N 8 "$1" | awk '{ print $3 * 256 + $4 "x" $7 * 256 + $8 }'; } # of a PNG: WxH
fits() { checks=$((checks + 1)); [ "$(size "$1")" = "$2" ] || wrong "$1 is $(size "$1"), expected $2"; }

mkdir -p data/wide/train/good data/wide/test/good data/wide/test/dot data/wide/ground_truth/dot
for i in 0 1 2 3 4; do picture data/wide/train/good/$i.bmp 151 90 $i; done
picture data/wide/train/good/5.bmp 200 40 5  # lower than a tile
for i in 0 1; do
  picture data/wide/test/good/$i.bmp 151 90 1$i
  picture data/wide/test/dot/$i.bmp 151 90 2$i dot
  picture data/wide/ground_truth/dot/${i}_mask.bmp 151 90 0 mask
done
picture data/wide/test/good/2.bmp 30 20 12  # smaller than a tile in both directions
good=data/wide/test/good/0.bmp dot=data/wide/test/dot/0.bmp
net=(--image-size 64 --base 32 --multipliers 1,1 --attention 2 --heads 2 --batch 2 --k 2 --steps 2 --threads 1)
train=(train --data data --category wide "${net[@]}" --gamma 1)

# ---- train ----
runs 0 "${train[@]}" --model model --tile 64 --iterations 40
says "tiles: " err
says "smaller than a tile, and mirrored to fill it: 1" err
grep -q '"tile": 64' model/config.json || wrong "config.json does not say how large the tiles are"
grep -q '"tile_overlap": 0.25' model/config.json || wrong "config.json does not say how the tiles overlap"
grep -q '"images": 1,' model/calibration.json || wrong "calibration is not of one image held back"
cp model/unet.safetensors unet.safetensors
runs 0 "${train[@]}" --model model --tile 64 --iterations 40
says "latents: taken from an earlier run" err
cmp -s model/unet.safetensors unet.safetensors || wrong "a training of tiles that was done already changed the UNet"
refuses "with other images or settings" "${train[@]}" --model model --tile 64 --tile-overlap 0.5 --iterations 40 --quiet
stops INT 130 "[ -e stopped/work/checkpoint.safetensors ]" \
  "${train[@]}" --model stopped --tile 64 --iterations 40 --checkpoint-seconds 0 --quiet
runs 0 "${train[@]}" --model stopped --tile 64 --iterations 40 --quiet
for file in unet extractor dic; do
  cmp -s model/$file.safetensors stopped/$file.safetensors || wrong "a stopped training of tiles has another $file"
done
cmp -s model/calibration.json stopped/calibration.json || wrong "a stopped training of tiles is calibrated otherwise"
runs 0 adapt --data data --category wide --model stopped --gamma 1 --quiet
cmp -s model/extractor.safetensors stopped/extractor.safetensors || wrong "adapt is not what train does, with tiles"
runs 0 calibrate --data data --category wide --model stopped --tile-overlap 0.5 --T-max 120 --quiet
grep -q '"tile_overlap": 0.5' stopped/config.json || wrong "calibrate did not keep --tile-overlap"
runs 0 "${train[@]}" --model all --tile 64 --held-back 0 --iterations 2 --quiet
refuses "tile is 31" "${train[@]}" --model x --tile 31
refuses "expected 0 (whole images)" "${train[@]}" --model x --tile=-64
refuses "expected a whole number" "${train[@]}" --model x --tile 64px
refuses "tile_overlap is 0.9" "${train[@]}" --model x --tile 64 --tile-overlap 0.9
refuses "--tile" detect --model model --tile 32 $good
head -c 40 data/wide/train/good/0.bmp >data/broken.bmp
printf '%s\n' wide/train/good/0.bmp broken.bmp >data/list.txt
refuses "broken.bmp" train --data data/list.txt --model x --tile 64 --held-back 0 --quiet

# ---- detect ----
runs 1 detect --model model --threshold -1 --format csv --heat --overlay --mask --panel --out pictures $dot $good
counts "$(grep -c ',faulty,' out)" 2 "results"
for kind in heat overlay mask; do fits "pictures/0.$kind.png" 151x90; done
fits pictures/0.panel.png 634x112
dot_score=$(sed -n 2p out | cut -d, -f2) good_score=$(sed -n 3p out | cut -d, -f2)
awk -v a="$dot_score" -v b="$good_score" 'BEGIN { exit !(a > 1.1 * b) }' || wrong "dot $dot_score, good $good_score"
runs 0 detect --model model --threshold 1e9 --json --heat --out small data/wide/test/good/2.bmp
fits small/2.heat.png 30x20
runs 1 detect --model model --threshold -1 --format csv --batch 1 --tile-overlap 0.25 $dot
awk -v a="$dot_score" -v b="$(tail -1 out | cut -d, -f2)" 'BEGIN { d = a - b; exit !(d < 1e-3 * a && -d < 1e-3 * a) }' ||
  wrong "alone and in batches of one tile the score is $(tail -1 out), not $dot_score"
runs 1 detect --model model --threshold -1 --format csv --tile-overlap 0.75 --heat --out dense $dot
fits dense/0.heat.png 151x90
# With the image at half its size, the map is half as large.
runs 0 "${train[@]}" --model half --tile 128 --iterations 2 --quiet
runs 0 detect --model half --threshold 1e9 --heat --out half_pictures $dot
fits half_pictures/0.heat.png 76x45

# ---- evaluate ----
runs 0 evaluate --model model --data data --category wide --out results --heat-maps --quiet
counts "$(grep -c '^wide,\(all\|dot\),d3ad,\(paper\|calibrated\),' results/metrics.csv)" 4 "metrics"
awk -F, '/^wide,all,/ { if (!($7 > 0.8)) bad = 1 } END { exit bad }' results/metrics.csv ||
  wrong "a white square is not found: $(cat results/metrics.csv)"
counts "$(wc -l <results/scores.csv)" 6 "scores"
fits results/wide/dot/0.png 791x112
counts "$(grep -o '<article' results/report.html | wc -l)" 5 "images in the report"
refuses "baselines compare whole images" evaluate --model model --data data --category wide --out x --baselines --quiet

# ---- its ablation and figures ----
of=(--model model --data data --category wide)
runs 0 ablate "${of[@]}" --grid lambda=0.5,0.85 --grid map_layers=2,2+3 --out swept --quiet
for protocol in paper calibrated; do
  checks=$((checks + 1))
  row=$(grep "^wide,0.85,2+3,$protocol," swept/ablation.csv | cut -d, -f5,9-)
  metrics=$(grep "^wide,all,d3ad,$protocol," results/metrics.csv | cut -d, -f5-)
  [ -n "$row" ] && [ "$row" = "$metrics" ] || wrong "ablate has '$row' for $protocol, evaluate '$metrics'"
done
runs 0 figure grid "${of[@]}" --out grid.png --quiet
runs 0 figure omega "${of[@]}" --values 0,1 --out omega.svg --quiet
runs 0 figure bins "${of[@]}" --out bins.svg --quiet
exists grid.png
says "<svg" omega.svg
says "faulty tests (12)" bins.svg # two images of six tiles
refuses "this model looks at tiles" figure scaling "${of[@]}" --out scaling.png --quiet

# ---- latents of 64: images of 512 ----
printf '%s\n' wide/train/good/0.bmp wide/train/good/1.bmp >data/two.txt
runs 0 train --data data/two.txt "${net[@]}" --model large --image-size 512 --iterations 1 --quiet
runs 0 detect --model large --threshold 1e9 --heat --out large_pictures $dot
fits large_pictures/0.heat.png 512x512
runs 0 train --data data/two.txt "${net[@]}" --model enlarged --image-size 512 --tile 128 --iterations 1 --quiet
runs 0 detect --model enlarged --threshold 1e9 --heat --out enlarged_pictures --batch 1 $dot
fits enlarged_pictures/0.heat.png 604x360

finish
