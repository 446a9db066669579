#!/usr/bin/env bash
# Tests bench/gpu/run without a GPU: nvidia-smi, cmake, ctest, compute-sanitizer, the programs that cmake would build and
# Python are stand-ins that succeed, fail or hang, and the report has to say what happened.
#
#   run_test.sh          some seconds; exit code 0 where all is as expected

set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0 checks=0

wrong() {
  echo "FAILED: $*" >&2
  failures=$((failures + 1))
}
# runs CODE OPTIONS...: what bench/gpu/run prints is kept in `printed` and `complained`
runs() {
  local code=$1 got=0
  shift
  PATH=$work/bin:$PATH "$here/run" "$work/results" --build "$work/build" --python "$work/bin/torch_python" \
    --skip set_up,scripts "$@" >printed 2>complained || got=$?
  checks=$((checks + 1))
  [ "$got" -eq "$code" ] || { wrong "run $* ended with $got, expected $code" && cat printed complained >&2; }
}
says() { # TEXT FILE
  checks=$((checks + 1))
  grep -qF -- "$1" "$2" || wrong "'$1' is not in $2"
}
says_not() {
  checks=$((checks + 1))
  ! grep -qF -- "$1" "$2" || wrong "'$1' is in $2"
}
stand_in() { # NAME, and what it does on stdin
  { echo '#!/usr/bin/env bash' && cat; } >"bin/$1"
  chmod +x "bin/$1"
}

mkdir bin programs
stand_in nvidia-smi <<'END'
case "$*" in
  -L) echo "GPU 0: Stand-in" ;;
  *-lms*) while :; do echo "1000, 2600, 500.1, 60, 99, 0x0" && sleep 0.1; done ;;
  *mig.mode*) exit 2 ;;
  *--query-gpu=name*) echo "Stand-in GPU" ;;
  *) echo "7" ;;
esac
END
stand_in cmake <<END
while [ \$# -gt 0 ]; do
  case \$1 in
    -B) mkdir -p "\$2/tests" ;;
    --target) shift && for target in "\$@"; do
      case \$target in
        unit_cuda) cp "$work/programs/tests" "$work/build/tests/unit_cuda" ;;
        d3ad_program) printf '#!/bin/sh\nexit 2\n' >"$work/build/d3ad" && chmod +x "$work/build/d3ad" ;;
        make_sample | unit) ;;
        *) cp "$work/programs/\$target" "$work/build/" ;;
      esac
    done ;;
  esac
  shift
done
END
stand_in ctest <<END
[ "\$*" = "--test-dir $work/build --output-on-failure -L unit" ] && echo "100% tests passed"
END
stand_in compute-sanitizer <<'END'
while [ "${1#*/tests/unit_cuda}" = "$1" ]; do shift; done
exec "$@"
END
stand_in torch_python <<END
case "\$*" in
  *peer.py*graphs*) echo "Traceback" >&2 && exit 1 ;;
  *peer.py*) echo "$(sed -n 's/^COLUMNS = \[//p' "$here/peer.py" | tr -d '" ')$(sed -n '/^COLUMNS/{n;p}' "$here/peer.py" | tr -d '"] ')"
    echo "detection,torch_compile,bfloat16,30,300,300,0,10,100,1e-3,1e-1,yes,,"
    sleep 1 ;;
esac
END
cat >programs/tests <<'END'
#!/bin/sh
echo "test cases: 3 | 3 passed"
END
cat >programs/gpu_bench <<'END'
#!/bin/sh
case "$*" in
  device*) printf 'key,value\nname,Stand-in\nnominal_gb_per_s,3000\nhighest_clock_mhz,1900\n' ;;
  networks*bfloat16*)
    echo "row,competitor,type,batch,best_ms,median_ms,spread,runs,images_per_s,error,tolerance,verified,gflop,note"
    echo "detection,d3ad,bfloat16,30,150,150,0,10,200,1e-3,1e-1,yes,100,"
    sleep 1 ;;
  networks*half*) echo "out of memory" >&2 && exit 2 ;;
esac
END
chmod +x programs/*

# Everything: what fails is told, the rest is measured.
runs 1
report=results/report.md
says "2.00 x (150 ms; torch_compile 300 ms) | met" $report
says "200.0 images/s | met" $report
says 'step `networks_half`: failed (2)' $report
says "out of memory" $report
says 'step `torch_graphs`: failed (1)' $report
says 'step `program`: failed' $report
says "| unit_cuda | ok |" $report
says "| unit | ok |" $report
says "| memcheck | ok |" $report
says "| initcheck | ok |" $report
says "| before: busy, memory used, SM clock, temperature | 7 |" $report
says "| networks_bfloat16 | " $report
says "slow" $report
says_not "ECC, MIG" $report

# The same again does what failed alone; --only one step more; a change of the GPU begins anew.
sed -i 's/^  networks\*half.*$//' programs/gpu_bench
cp programs/gpu_bench build/
runs 1
says "networks_bfloat16        ok, earlier" printed
says "networks_half            ok (" printed
says "2.00 x (150 ms; torch_compile 300 ms) | met" $report
runs 0 --only device,networks_bfloat16
says "networks_bfloat16        ok (" printed
says "networks_half            ok, earlier" printed
says "torch_graphs             skipped: by option" printed
sed -i 's/Stand-in GPU/Another GPU/' bin/nvidia-smi
runs 0 --only gpu
says "build_bench              skipped: by option" printed

# Tests that test nothing, a step that takes too long, no time at all.
echo 'echo "123 comparisons skipped"' >>programs/tests
runs 1 --only configure,build_unit_cuda,unit_cuda
says "no GPU was found, so nothing was tested" $report
sed -i '2i exec sleep 20' programs/gpu_bench
runs 1 --only build_bench,device,kernels_half --fresh --time 6s
says "device                   failed (124: more than" printed
says "kernels_half             skipped: no time is left" printed

# Ctrl-C: a report of what was done until then, and nothing goes on.
cp programs/gpu_bench build/
rm -f results/logs/device.log # is there again when the step has begun
PATH=$work/bin:$PATH "$here/run" "$work/results" --build "$work/build" --python "$work/bin/torch_python" \
  --only device >printed 2>complained &
for _ in $(seq 1200); do [ -e results/logs/device.log ] && break; sleep 0.05; done
kill -TERM $!
wait $!
status=$?
checks=$((checks + 1))
[ $status -eq 130 ] || wrong "after TERM it ended with $status"
says "interrupted" complained
says "report: " printed

# A GPU that is not there, options that are wrong: one line.
printf '#!/bin/sh\necho "No devices were found" && exit 6\n' >bin/nvidia-smi
runs 2
says "nvidia-smi finds no GPU: No devices were found" complained
runs 2 --only nothing
says "the step 'nothing' is not known" complained
runs 2 --time soon
says "--time: 'soon' is not a whole number" complained
runs 2 --jobs 0
says "--jobs: '0' is not a whole number" complained

echo "$checks checks, $failures failed"
[ $failures -eq 0 ]
