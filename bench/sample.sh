#!/usr/bin/env bash
# The sample product line, three categories and three seeds: learns, evaluates, and prints means over seeds and
# categories beside the baselines.
#
#   bench/sample.sh BUILD OUT [OPTION...]      BUILD has d3ad and make-sample; OPTIONs go to d3ad train, instead of the
#                                              quickstart's
#
# Two trainings of one thread run side by side (they are small and would not use two threads well). Models and results
# that are there already are kept, so that a stopped run goes on. Prints I-AUROC / P-AUROC / PRO in percent.

set -euo pipefail
build=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
shift 2
options=("$@")
[ ${#options[@]} -gt 0 ] || options=(--iterations 1500 --T-max 80) # as the quickstart
export OMP_WAIT_POLICY=passive
[ -d "$out/data/links" ] || "$build/make-sample" "$out/data"

one() { # CATEGORY SEED
  local name=$1-$2
  [ -s "$out/$name/results/metrics.csv" ] && return
  "$build/d3ad" train --data "$out/data" --category "$1" --model "$out/$name/model" --seed "$2" --threads 1 --quiet "${options[@]}"
  "$build/d3ad" evaluate --data "$out/data" --category "$1" --model "$out/$name/model" --out "$out/$name/results" \
    --baselines --threads 1 --quiet >"$out/$name/evaluation.txt"
}
for seed in 0 1 2; do
  for category in cloth board links; do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
    one $category $seed &
  done
done
wait

for category in cloth board links mean; do
  cat "$out"/*/results/metrics.csv | awk -F, -v category="$category" '
    $2 == "all" && $1 != "mean" && ($1 == category || category == "mean") {
      way = $3 " " $4
      n[way]++; i[way] += $6; p[way] += $7; r[way] += $8
      if (n[way] == 1 || $6 < least[way]) least[way] = $6
    }
    END {
      for (way in n)
        printf "%-6s %-20s %5.1f / %5.1f / %5.1f   worst I-AUROC %5.1f of %d\n", category, way,
          100 * i[way] / n[way], 100 * p[way] / n[way], 100 * r[way] / n[way],
          100 * least[way], n[way]
    }' | sort
done
grep -h ': threshold' "$out"/*/evaluation.txt
