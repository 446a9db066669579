#!/usr/bin/env bash
# From a fresh clone to a trained detector: installs what is missing (Debian, Ubuntu), builds the programs, makes a
# sample product line, learns from its good images, judges the others and writes a report. Nothing is downloaded but
# Debian's packages; the small pretrained networks come with the project.
#
#   examples/quickstart.sh                  circuit boards; everything goes to quickstart/
#   examples/quickstart.sh OUT links        another product (board, cloth, links) to OUT
#
# It takes some six minutes on two cores, most of it learning. D3AD_BUILD: a build to use instead of making one;
# D3AD_SAMPLE, D3AD_TRAIN: more options for make-sample and d3ad train.

set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$repository/quickstart}
category=${2:-board}
export OMP_WAIT_POLICY=passive
step() { printf '\n=== %s (%s s)\n' "$1" "$SECONDS"; }
. "$repository/cmake/need.sh"

build=${D3AD_BUILD:-$repository/build/quickstart}
if [ ! -x "$build/d3ad" ] || [ ! -x "$build/make-sample" ]; then
  step "what the build needs"
  need build-essential cmake ninja-build pkg-config libdnnl-dev libstb-dev nlohmann-json3-dev libcli11-dev libfmt-dev

  step "the programs"
  cmake -S "$repository" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DD3AD_TESTS=OFF -DD3AD_PRECOMPILE=ON -DD3AD_CUDA=OFF
  cmake --build "$build" --target d3ad_program make_sample -j "${D3AD_JOBS:-$(nproc)}"
fi

step "a sample product line"
# shellcheck disable=SC2086  # the options are words
"$build/make-sample" "$out/data" --category "$category" ${D3AD_SAMPLE:-}

step "learning from its good images"
# shellcheck disable=SC2086
"$build/d3ad" train --data "$out/data" --category "$category" --model "$out/model" --iterations 1500 --T-max 80 \
  ${D3AD_TRAIN:-}

step "judging the test images"
"$build/d3ad" evaluate --model "$out/model" --data "$out/data" --category "$category" --out "$out/results" --baselines

step "done"
cat <<END
the report         $out/results/report.html   (open it in a browser: every image, what is wrong and where)
the numbers        $out/results/metrics.csv, scores.csv
the model          $out/model

Try it on an image of your own choice:

  $build/d3ad detect --model $out/model $out/data/$category/test/scratch/000.png --overlay
END
