#!/usr/bin/env bash
# From a fresh clone to a trained detector: installs what is missing (Debian, Ubuntu), builds the program, makes a tiny
# product line with small networks for it (nothing is downloaded), learns from its good images, and judges the others.
#
#   examples/quickstart.sh            everything goes to quickstart/
#   examples/quickstart.sh OUT        ... to OUT
#
# It takes some ten minutes on two cores. The set is generated and its networks are made in a minute or two: it shows
# how the program works, not how well the method does.

set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$repository/quickstart}
export OMP_WAIT_POLICY=passive
step() { printf '\n=== %s (%s s)\n' "$1" "$SECONDS"; }
. "$repository/cmake/need.sh"

build=${D3AD_BUILD:-$repository/build/quickstart}
if [ ! -x "$build/d3ad" ] || [ ! -x "$build/tiny_set" ]; then
  step "what the build needs"
  need build-essential cmake ninja-build pkg-config libdnnl-dev libstb-dev nlohmann-json3-dev libcli11-dev libfmt-dev

  step "the program"
  cmake -S "$repository" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DD3AD_TESTS=OFF -DD3AD_PRECOMPILE=ON
  cmake --build "$build" --target d3ad_program tiny_set -j "${D3AD_JOBS:-$(nproc)}"
fi

step "a tiny product line, and networks for it"
mkdir -p "$out"
"$build/tiny_set" "$out/data" "${D3AD_VAE_STEPS:-300}"

step "learning from its good images"
"$build/d3ad" train --data "$out/data" --category washer --vae "$out/data/vae.safetensors" \
  --extractor "$out/data/resnet18.safetensors" --model "$out/washer" --copy-vae \
  --image-size 128 --base 32 --iterations "${D3AD_ITERATIONS:-600}" --k 8 --T-max 80 --eta2 4  # the paper's: small faults

step "judging the test images"
"$build/d3ad" evaluate --model "$out/washer" --data "$out/data" --category washer --out "$out/results" --heat-maps --baselines

step "done"
cat <<END
the model          $out/washer           (loss.png shows the training)
the numbers        $out/results/metrics.csv, scores.csv
what was seen      $out/results/report.html  (open it in a browser; each picture also in $out/results/washer/)

Try it on an image of your own choice:

  $build/d3ad detect --model $out/washer $out/data/washer/test/scratch/000.png --overlay
END
