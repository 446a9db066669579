#!/usr/bin/env bash
# Tests the program d3ad from the outside: exit codes, output, pictures, configuration files, interrupted training, wrong
# input.
#
#   tests/program.sh PROGRAM EXAMPLE      EXAMPLE: what examples/quickstart.sh made (data/board, model/)

set -uo pipefail
program=$(realpath "$1")
example=$(realpath "$2")
repository=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
. "$repository/tests/expect.sh"

model=$example/model data=$example/data good=$example/data/board/test/good bad=$example/data/board/test/part
vae=$repository/networks/vae.safetensors extractor=$repository/networks/resnet34.safetensors
quick=(--image-size 64 --base 32 --multipliers 1,1 --attention 2 --heads 2 --batch 2 --k 2 --steps 2)
small=("${quick[@]}" --quiet)

# ---- help ----
runs 0 --help
for command in train adapt calibrate detect evaluate ablate figure table data verify inspect; do
  says "$command"
  "$program" "$command" --help >help || wrong "$command --help"
  grep -q -- --help help || wrong "$command --help says nothing"
done
"$program" train --help >help
# Each setting of a model has an option.
sed -n '/^  "settings": {/,/^  }/s/^    "\([A-Za-z0-9_]*\)": .*/\1/p' "$model/config.json" >settings
[ "$(wc -l <settings)" -ge 30 ] || wrong "config.json has $(wc -l <settings) settings"
while read -r setting; do
  grep -q -- "--${setting//_/-} " help || wrong "train --help does not document $setting"
  checks=$((checks + 1))
done <settings
runs 0 --version
refuses "subcommand"
refuses "--model" detect "$good/000.png"
refuses "frobnicate" frobnicate

# ---- wrong options ----
. "$repository/tests/command_lines.sh"

# ---- detect ----
runs 0 detect --model "$model" --threshold 1e9 "$good/000.png"
runs 1 detect --model "$model" --threshold -1 "$good/000.png"
says FAULTY
runs 1 detect --model "$model" --threshold -1 --format jsonl "$good" "$bad"
counts "$(wc -l <out)" 12 "JSON lines"
counts "$(grep -c '^{"file":".*","score":[0-9.e+-]*,"verdict":"faulty","T_hat":[0-9]*,"distance":[0-9.e+-]*}$' out)" 12 \
  "well-formed JSON lines"
runs 1 detect --model "$model" --threshold -1 --format csv "$good/000.png"
counts "$(head -1 out | grep -c '^file,score,verdict,T_hat$')" 1 "CSV header"
printf '%s\r\n\n%s\n' "$good/000.png" "$bad/001.png" >list.txt
runs 0 detect --model "$model" --threshold 1e9 --heat --overlay --mask --panel --out pictures list.txt
for kind in heat overlay mask panel; do exists "pictures/000.$kind.png" && exists "pictures/001.$kind.png"; done
runs 1 detect --model "$model" --threshold -1 --weights bfloat16 --format csv "$good/000.png"
refuses "expected float or bfloat16" detect --model "$model" --weights half "$good/000.png"
first=$("$program" detect --model "$model" --format csv "$good/000.png" 2>/dev/null)
again=$("$program" detect --model "$model" --format csv "$good/000.png" 2>/dev/null)
[ "$first" = "$again" ] || wrong "two runs differ: $first, $again"

# An unreadable image among readable ones is reported; the others are processed.
mkdir -p mixed/folder.png
cp "$good/000.png" mixed/a.png
head -c 300 "$good/001.png" >mixed/b.png
: >mixed/c.jpg
cp "$good/002.png" mixed/d.png
runs 2 detect --model "$model" --threshold 1e9 mixed
counts "$(wc -l <out)" 2 "results of a folder with bad images"
says "mixed/b.png" err
says "mixed/c.jpg" err
says "4 images: 0 faulty, 2 good, 2 not read" err
refuses "nowhere" detect --model "$model" --quiet nowhere.png
refuses "is not a folder" detect --model nowhere "$good/000.png"
refuses "expected a number" detect --model "$model" --threshold abc "$good/000.png"
refuses "eta2" detect --model "$model" --eta2=-1 "$good/000.png"
refuses "lambda" detect --model "$model" --lambda 2 "$good/000.png"
refuses "holds no images" detect --model "$model" "$data/board"

# ---- colour: on a terminal only, and not if NO_COLOR is set ----
red=$(printf '\033[1;31m')
on_terminal() { script -qc "$(printf '%q ' env "$@")" /dev/null; }
judge=("$program" detect --model "$model" --threshold -1 "$good/000.png")
checks=$((checks + 4))
on_terminal TERM=xterm NO_COLOR= "${judge[@]}" | grep -qF "$red" || wrong "no colour on a terminal"
on_terminal TERM=xterm NO_COLOR=1 "${judge[@]}" | grep -qF "$red" && wrong "colour although NO_COLOR is set"
on_terminal TERM=dumb NO_COLOR= "${judge[@]}" | grep -qF "$red" && wrong "colour on a dumb terminal"
env TERM=xterm NO_COLOR= "${judge[@]}" | grep -qF "$red" && wrong "colour in a pipe"

# ---- data ----
runs 0 data --quiet "$data"
says "board"
says "MVTec AD"
runs 0 data --quiet --json "$data" --category board
says '"train": 24'
runs 2 data --quiet mixed  # a folder with damaged images
says "cannot be used"
says "mixed/b.png"
refuses "is not there" data nowhere

# ---- configuration files ----
echo '{"lambda": 0, "eta2": 0, "threshold": "1e9"}' >plain.json
runs 0 detect --model "$model" --config plain.json --format csv "$good/000.png"
with_file=$(tail -1 out)
runs 0 detect --model "$model" --lambda 0 --eta2 0 --threshold 1e9 --format csv "$good/000.png"
[ "$with_file" = "$(tail -1 out)" ] || wrong "--config differs from the same options: $with_file, $(tail -1 out)"
runs 1 detect --model "$model" --config plain.json --threshold -1 "$good/000.png"
runs 0 detect --model "$model" --config "$model/config.json" --threshold 1e9 "$good/000.png"
echo '{"lambad": 0}' >typo.json
refuses "lambad" detect --model "$model" --config typo.json "$good/000.png"
echo '{' >broken.json
refuses "is not a JSON object" detect --model "$model" --config broken.json "$good/000.png"

# ---- how convolutions are computed ----
score() { sed -E 's/.*"score":([-0-9.e]+).*/\1/' out; }
near() { # A B: scores that differ by rounding alone
  awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; exit !(d < 1e-4 && d > -1e-4) }' || wrong "scores $1 and $2"
}
runs 1 detect --model "$model" --threshold -1 --json --save-plan own.plan "$good/000.png"
usual=$(score)
grep -q '^block n1 .* winograd4$' own.plan || wrong "the plan names no Winograd convolution"
sed 's/winograd[24]/direct/' own.plan >direct.plan
runs 1 detect --model "$model" --threshold -1 --json --plan direct.plan --save-plan used.plan "$good/000.png"
cmp -s direct.plan used.plan || wrong "--plan was not followed"
direct=$(score)
near "$usual" "$direct"
runs 1 detect --model "$model" --threshold -1 --json --memory lean "$good/000.png"
[ "$(score)" = "$direct" ] || wrong "--memory lean uses Winograd"
runs 1 detect --model "$model" --threshold -1 --json --tune --save-plan tuned.plan "$good/000.png"
near "$usual" "$(score)"
tuned=$(score)
runs 1 detect --model "$model" --threshold -1 --json --plan tuned.plan "$good/000.png"
[ "$(score)" = "$tuned" ] || wrong "a tuned plan does not repeat its result"
echo "block n1 h8 w8 c8 o8 k3 s1 p1 e1 winograd4" >wrong.plan
refuses "16 channels or more" detect --model "$model" --plan wrong.plan "$good/000.png"
refuses "no-such.plan" detect --model "$model" --plan no-such.plan "$good/000.png"
refuses "memory" detect --model "$model" --memory little "$good/000.png"
if grep -qw avx512_bf16 /proc/cpuinfo; then
  runs 1 detect --model "$model" --threshold -1 --json --precision bfloat16 --save-plan rounded.plan "$good/000.png"
  awk -v a="$usual" -v b="$(score)" 'BEGIN { exit !(a != b && a < 1.2 * b && b < 1.2 * a) }' ||
    wrong "in bfloat16 the score is $(score), in float $usual"
  grep -q ' bfloat16$' rounded.plan || wrong "the plan names no bfloat16 convolution"
  rounded=$(score)
  runs 1 detect --model "$model" --threshold -1 --json --plan rounded.plan "$good/000.png"
  [ "$(score)" = "$rounded" ] || wrong "a plan with bfloat16 does not repeat its result"
else
  refuses "no instructions" detect --model "$model" --precision bfloat16 "$good/000.png"
fi
refuses "precision" detect --model "$model" --precision double "$good/000.png"

# ---- evaluate ----
runs 0 evaluate --model "$model" --data "$data" --category board --out results --heat-maps --baselines --quiet
counts "$(head -1 results/metrics.csv |
  grep -c '^category,defect,method,protocol,images,i_auroc,p_auroc,pro,aupro,i_ap,p_ap,i_f1max,p_f1max$')" 1 "metrics' header"
counts "$(grep -c '^board,\(all\|scratch\|stain\|part\|deformation\),d3ad,\(paper\|calibrated\),' results/metrics.csv)" 10 "metrics"
counts "$(grep -c '^mean,all,' results/metrics.csv)" 4 "means"
counts "$(wc -l <results/scores.csv)" 25 "scores"
counts "$(ls results/board/*/*.png | wc -l)" 24 "pictures"
counts "$(grep -o '<article' results/report.html | wc -l)" 24 "images in the report"
counts "$(grep -c 'http' results/report.html)" 0 "addresses in the report"
runs 0 evaluate --model "$model" --data "$data" --category board --out plain --no-report --quiet
[ ! -e plain/report.html ] || wrong "--no-report wrote a report"
says "D3AD, paper's protocol"
runs 0 evaluate --model "$model" --data "$data" --category board --out plain --no-report --quiet --json
python3 -c 'import json' 2>/dev/null && { python3 -m json.tool <out >tidy || wrong "evaluate --json is no JSON"; }
counts "$(grep -c '"protocol": "calibrated"' out)" 6 "calibrated rows of JSON"
counts "$(grep -c '"false_alarms": [0-9]' out)" 1 "verdicts of JSON"
runs 1 detect --model "$model" --threshold -1 --json "$good/000.png"
counts "$(grep -c '^{"file":' out)" 1 "detect --json"
refuses "there are: board" evaluate --model "$model" --data "$data" --category boards --out results --quiet
refuses "is not there" evaluate --model "$model" --data nowhere --out results --quiet

# ---- train: stopped by Ctrl-C, killed, resumed; the result is the same ----
train=(train --data "$data" --category board "${small[@]}" --threads 1)
runs 0 "${train[@]}" --model whole --iterations 40
stops INT 130 "[ -e stopped/work/checkpoint.safetensors ]" \
  "${train[@]}" --model stopped --iterations 40 --checkpoint-seconds 0
says "stopped during 'train'; what was done is saved" err
refuses "not finished" detect --model stopped --quiet "$good/000.png"
touch stopped/.d3ad-1-0.tmp stopped/work/.d3ad-1-1.tmp # what a kill may leave
runs 0 "${train[@]}" --model stopped --iterations 40
cmp -s whole/unet.safetensors stopped/unet.safetensors || wrong "a stopped training ended in another network"
counts "$(find . -name '*.tmp*' | wc -l)" 0 "temporary files that were left"
# Killed as it begins, with the latents done, at the first checkpoint, half-way, and with the UNet done.
for when in "[ -d killed/work ]" "[ -e killed/work/latents.safetensors ]" "[ -e killed/work/checkpoint.safetensors ]" \
  '[ "$(cat killed/loss.csv 2>/dev/null | wc -l)" -gt 10 ]' "[ -e killed/unet.safetensors ]"; do
  rm -rf killed
  stops KILL 137 "$when" "${train[@]}" --model killed --iterations 40 --checkpoint-seconds 0
  refuses "not finished" detect --model killed --quiet "$good/000.png"
  encoded=$(ls killed/work/latents.safetensors 2>/dev/null) begun=$(ls killed/work/checkpoint.safetensors 2>/dev/null)
  runs 0 train --data "$data" --category board "${quick[@]}" --threads 1 --model killed --iterations 40
  [ -z "$encoded" ] || says "latents: taken from an earlier run" err
  [ -z "$begun" ] || says "training: going on from step" err
  for file in unet.safetensors dic.safetensors calibration.json; do
    cmp -s "whole/$file" "killed/$file" || wrong "a training killed when '$when' ended in another $file"
  done
  counts "$(find killed -name '*.tmp*' | wc -l)" 0 "temporary files left after a kill when '$when'"
done
runs 0 calibrate --data "$data" --category board --model whole --T-max 120 --quiet
grep -q '"T_max": 120' whole/config.json || wrong "calibrate did not keep T_max"
runs 0 adapt --data "$data" --category board --model whole --gamma 1 --quiet
runs 0 detect --model whole --threshold 1e9 "$good/000.png"
. "$repository/tests/training_logs.sh"
refuses "checkpoint of a training with other" "${train[@]}" --model whole --iterations 41
refuses "image_size" "${train[@]}" --model x --image-size 65
refuses "one of iterations and epochs" "${train[@]}" --model x --iterations 5 --epochs 5
refuses "expected a ResNet" train --data "$data" --category board --vae "$vae" --extractor "$vae" --model x --quiet
head -c 1000 "$vae" >cut.safetensors
refuses "cut.safetensors" train --data "$data" --category board --vae cut.safetensors --model x --quiet
D3AD_NETWORKS=nowhere refuses "there is no 'vae.safetensors' in it" train --data "$data" --category board --model x
cp "$program" alone
checks=$((checks + 1))
./alone train --data "$data" --category board --model x 2>err && wrong "a program without its networks trained"
says "give --vae" err
# With the user's own networks, the model only refers to the VAE, unless --copy-vae is given.
runs 0 "${train[@]}" --model own --iterations 2 --vae "$vae" --extractor "$extractor"
[ ! -e own/vae.safetensors ] || wrong "the VAE was copied"
cmp -s whole/vae.safetensors "$vae" || wrong "the VAE that comes with d3ad was not copied into the model"
# A complete diffusers pipeline, copied into the model; other layers of the extractor.
mkdir -p pipeline/vae
echo '{}' >pipeline/model_index.json
echo '{"norm_num_groups": 8}' >pipeline/vae/config.json
cp "$vae" pipeline/vae/diffusion_pytorch_model.safetensors
runs 0 inspect pipeline
says "network: AutoencoderKL"
says "names: diffusers'"
runs 0 "${train[@]}" --model piped --iterations 2 --vae pipeline --copy-vae --dic-layer 3 --map-layers 1,3
rm -r pipeline
runs 0 detect --model piped --threshold 1e9 "$good/000.png"
grep -q '"dic_layer": 3' piped/config.json || wrong "the model does not say which layer conditions it"
# A full disk, simulated by a limit on file sizes: one sentence, no partial file, and the same command resumes.
checks=$((checks + 1))
(
  ulimit -f 64
  trap '' XFSZ
  "$program" "${train[@]}" --model full --iterations 4 2>err
)
[ $? -eq 2 ] || wrong "a full disk did not end training with 2: $(cat err)"
says "cannot write 'full/work/checkpoint.safetensors'" err
counts "$(find full -type f -size -1k | wc -l)" 0 "half-written files"
counts "$(find full -name '*.tmp*' | wc -l)" 0 "temporary files after a full disk"
runs 0 "${train[@]}" --model full --iterations 4
if [ "$(id -u)" -ne 0 ]; then
  mkdir locked && chmod 555 locked
  refuses "locked" "${train[@]}" --model locked/model --iterations 2
fi

# ---- tiles, and images of 512 ----
"$repository/tests/tile.sh" "$program" || wrong "tests/tile.sh failed"
checks=$((checks + 1))

# ---- other extractors ----
. "$repository/tests/extractors.sh"

# ---- files of weights that cannot be used ----
. "$repository/tests/bad_weights.sh"

# ---- inspect and verify ----
runs 0 inspect "$vae" "$extractor"
says "resnet34"
refuses "cut.safetensors" inspect cut.safetensors
refuses "python3 weights_tools convert resnet34.pth" inspect resnet34.pth
golden=$repository/tests/golden/schedule.safetensors
runs 0 verify "$golden"
cp "$golden" changed.safetensors
printf '\x41' | dd of=changed.safetensors bs=1 seek=$(($(stat -c %s changed.safetensors) - 1)) conv=notrunc status=none
runs 1 verify changed.safetensors
says "OVER"
refuses "does not say 'kind'" verify "$vae"

# ---- ablate: tested by another script ----
checks=$((checks + 1))
"$repository/tests/ablate.sh" "$program" "$example" || wrong "tests/ablate.sh"

finish
