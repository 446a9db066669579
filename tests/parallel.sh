#!/usr/bin/env bash
# Tests the program d3ad with several processes: one to four of them train and evaluate the same; some are stopped, killed
# or fail; training resumes with another number of them. Also tests MpiGroup alone (tests/parallel/mpi_group.cpp).
#
#   tests/parallel.sh PROGRAM MAKE_SAMPLE MPI_GROUP [MPIRUN]      PROGRAM: d3ad, built with MPI
#
# Every run has a time limit, so that a hang is a failure. Exit code 77: skipped, because there is no mpirun.

set -uo pipefail
tests=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "$1")
make_sample=$(realpath "$2")
group=$(realpath "$3")
mpirun=${4:-mpirun}
command -v "$mpirun" >/dev/null || {
  echo "skipped: there is no '$mpirun' (Debian, Ubuntu: apt-get install openmpi-bin)"
  exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
. "$tests/expect.sh"
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
root=()
[ "$(id -u)" -ne 0 ] || root=(--allow-run-as-root)
launch=(timeout -k 5 100 "$mpirun" --oversubscribe "${root[@]}")

# on N CODE ARGUMENTS...: d3ad on N processes (0: without mpirun) ends with that code; stdout and stderr in out and err
on() {
  local count=$1 code=$2 got=0
  shift 2
  if [ "$count" -eq 0 ]; then
    timeout -k 5 100 "$program" "$@" >out 2>err || got=$?
  else
    "${launch[@]}" -n "$count" "$program" "$@" >out 2>err || got=$?
  fi
  checks=$((checks + 1))
  [ "$got" -eq "$code" ] || { wrong "$count processes: d3ad $* ended with $got, expected $code"; cat out err >&2; }
}
# own_lines: the number of d3ad's lines on stderr; mpirun adds others
own_lines() { grep -c '^d3ad: ' err; }
# fails N TEXT ARGUMENTS...: exit code 2 and one line of d3ad's that holds the text
fails() {
  local count=$1 text=$2
  shift 2
  on "$count" 2 "$@"
  says "$text" err
  counts "$(own_lines)" 1 "lines of d3ad's on stderr with $count processes ($text)"
}
# The numbers of a safetensors file, one in each line; the file begins with the length of its header and the header.
numbers() { od -An -v -w4 -t f4 -j $((8 + $(od -An -t u8 -N 8 "$1"))) "$1"; }
# near A B MOST: the numbers of two safetensors files differ, by at most MOST
near() {
  checks=$((checks + 1))
  paste <(numbers "$1") <(numbers "$2") | awk -v most="$3" -v a="$1" -v b="$2" '
    NF != 2 { bad = 1 }
    { d = $1 - $2; if (d < 0) d = -d; if (d > far) far = d; if (!(d <= most)) bad = 1 }
    END { if (bad || NR < 100) { print a " and " b ": " NR " numbers, up to " far " apart, expected " most; exit 1 } }' ||
    wrong "weights differ"
}
# losses A B: the tables of two trainings agree in steps, losses, gradient norms and rates to 1e-5 of each
losses() {
  checks=$((checks + 1))
  paste -d, <(tail -n +2 "$1/loss.csv" | cut -d, -f1-4) <(tail -n +2 "$2/loss.csv" | cut -d, -f1-4) | awk -F, '
    { for (i = 1; i <= 4; ++i) { d = $i - $(i + 4); if (d < 0) d = -d; if (!(d <= 1e-5 * $i)) bad = 1 } }
    END { exit !(NR > 5 && !bad) }' || wrong "losses of $1 and $2: $(head -3 "$1/loss.csv" "$2/loss.csv")"
  same_length "$1" "$2" events.out.tfevents.1.unet
}
# Event files have records of the same lengths: each is written once, for every number of processes.
same_length() {
  checks=$((checks + 1))
  [ -s "$1/$3" ] && [ "$(stat -c %s "$1/$3")" -eq "$(stat -c %s "$2/$3")" ] || wrong "lengths of $3 in $1 and $2"
}
same() { checks=$((checks + 1)); cmp -s "$1" "$2" || wrong "$1 and $2 differ"; }
differ() { checks=$((checks + 1)); cmp -s "$1" "$2" && wrong "$1 and $2 are the same"; }

# ---- the group alone ----
# by_itself N CODE [PART]: tests/parallel/mpi_group.cpp on N processes ends with that code, and soon
by_itself() {
  local began=$SECONDS got=0
  timeout -k 5 100 "$mpirun" --oversubscribe "${root[@]}" -n "$1" "$group" "${@:3}" >out 2>err || got=$?
  checks=$((checks + 2))
  counts $got "$2" "the exit code of mpi_group ${*:3} by $1 processes ($(cat err))"
  [ $((SECONDS - began)) -lt 30 ] || wrong "mpi_group ${*:3} took $((SECONDS - began)) s"
}
for n in 1 2 3 4; do by_itself $n 0; done
by_itself 3 3 late
says "waited 1 s for the others" err
by_itself 3 4 thrown
says "process 1 has had enough" err

"$make_sample" data --category board --size 64 --train 14 --good 5 --faulty 2 >/dev/null || wrong make-sample
train=(train --data data --category board --image-size 64 --base 32 --multipliers 1,1 --attention 2 --heads 2 --batch 12
  --k 2 --steps 2 --threads 1 --quiet)
all=("${train[@]}" --iterations 8 --gamma 2 --augment flip --ema 0.9 --clip 1)

# ---- training: the same with one to four processes ----
on 0 0 "${all[@]}" --model m0
for n in 1 2 3 4; do on $n 0 "${all[@]}" --model m$n; done
for file in unet.safetensors extractor.safetensors dic.safetensors calibration.json; do same m0/$file m1/$file; done
for n in 2 3 4; do
  same m0/work/latents.safetensors m$n/work/latents.safetensors
  losses m0 m$n
  # Adam's first steps are a gradient divided by its size: if it consists of rounding errors, a weight may change by the
  # learning rate.
  near m0/unet.safetensors m$n/unet.safetensors 1e-3
  counts "$(find m$n -name '*.tmp*' | wc -l)" 0 "temporary files"
done
on 4 0 "${all[@]}" --model again
same m4/unet.safetensors again/unet.safetensors # the same number of processes: the same bits
same m4/calibration.json again/calibration.json
on 0 0 "${all[@]}" --seed 1 --model other
# The comparisons can distinguish another training from the same one.
checks=$((checks + 2))
[ "$(failures=0; losses m0 other 2>/dev/null; echo $failures)" -eq 1 ] || wrong "the losses of another seed pass for the same"
[ "$(failures=0; near m0/unet.safetensors other/unet.safetensors 1e-3 >/dev/null 2>&1; echo $failures)" -eq 1 ] ||
  wrong "the weights of another seed pass for the same"

# The stages after the UNet compute what one process computes: with the same UNet they give the same bits.
for n in 2 4; do
  cp -r m0 later$n
  on $n 0 adapt --data data --category board --model later$n --gamma 2 --threads 1 --quiet
done
cp -r m0 later0
on 0 0 adapt --data data --category board --model later0 --gamma 2 --threads 1 --quiet
for n in 2 4; do
  for file in extractor.safetensors dic.safetensors calibration.json config.json; do same later0/$file later$n/$file; done
  same_length later0 later$n events.out.tfevents.2.adapt
done
differ m0/unet.safetensors later0/extractor.safetensors
on 3 0 calibrate --data data --category board --model later4 --T-max 60 --threads 1 --quiet
on 0 0 calibrate --data data --category board --model later0 --T-max 60 --threads 1 --quiet
for file in dic.safetensors calibration.json config.json; do same later0/$file later4/$file; done
differ m0/calibration.json later0/calibration.json

# ---- evaluation: the same files and output, to the bit ----
evaluate=(evaluate --model m0 --data data --category board --threads 1 --batch 2 --heat-maps --baselines --quiet)
on 0 0 "${evaluate[@]}" --out e0
cp out words
for n in 2 3 4; do
  on $n 0 "${evaluate[@]}" --out e$n
  checks=$((checks + 1))
  diff -r e0 e$n >differences || wrong "$n processes evaluate differently: $(cat differences)"
  same words out
done
counts "$(find e4 -type f | wc -l)" 16 "files of an evaluation"
on 0 0 "${evaluate[@]}" --lambda 0.1 --out other_setting
differ e0/scores.csv other_setting/scores.csv
# With images that cannot be read: batches, output and exit code are those of one process.
cp -r data spoilt
head -c 200 data/board/test/good/001.png >spoilt/board/test/good/001.png
: >spoilt/board/test/scratch/000.png
on 0 2 "${evaluate[@]}" --data spoilt --out s0
cp err words
on 3 2 "${evaluate[@]}" --data spoilt --out s3
checks=$((checks + 1))
diff -r s0 s3 >differences || wrong "with unreadable images: $(cat differences)"
counts "$(own_lines)" 2 "images that were left out"
same words <(grep '^d3ad: ' err)

# ---- tiles: the same, with images distributed in turn ----
tiles=("${train[@]}" --tile 48 --iterations 2 --gamma 1 --held-back 0.3)
on 0 0 "${tiles[@]}" --model t0
on 3 0 "${tiles[@]}" --model t3
same t0/work/latents.safetensors t3/work/latents.safetensors
cp -r t0 t4
on 3 0 adapt --data data --category board --model t4 --gamma 1 --threads 1 --quiet
for file in extractor.safetensors dic.safetensors calibration.json config.json; do same t0/$file t4/$file; done
evaluate=(evaluate --model t0 --data data --category board --threads 1 --batch 3 --heat-maps --quiet)
on 0 0 "${evaluate[@]}" --out te0
on 3 0 "${evaluate[@]}" --out te3
checks=$((checks + 1))
diff -r te0 te3 >differences || wrong "3 processes evaluate tiles differently: $(cat differences)"
# Without held-out images, each tile is compared with all tiles except itself.
on 3 0 "${tiles[@]}" --held-back 0 --model t5
cp -r t5 t6
on 0 0 calibrate --data data --category board --model t5 --threads 1 --quiet
on 3 0 calibrate --data data --category board --model t6 --threads 1 --quiet
for file in dic.safetensors calibration.json config.json; do same t5/$file t6/$file; done

# ---- resuming with another number of processes, stopped and killed ----
# stop SIGNAL TARGET N MODEL OPTIONS...: sends the signal to a training with N processes after it has written a checkpoint;
# TARGET is mpirun or the number of a process. All processes have to end soon. Returns mpirun's exit code. The steps are so
# slow that, even on a fast machine, the training does not end in the seconds until mpirun has forwarded the signal.
long=("${train[@]}" --batch 144 --gamma 0 --checkpoint-seconds 0)
await() { # MODEL: waits for a new row of losses, which is written with every checkpoint
  local before
  before=$(cat "$1/loss.csv" 2>/dev/null)
  for _ in $(seq 3000); do
    [ -e "$1/loss.csv" ] && [ "$(cat "$1/loss.csv")" != "$before" ] && return
    sleep 0.02
  done
  wrong "$1 has no new checkpoint"
}
stop() {
  local signal=$1 target=$2 count=$3 model=$4 launcher process
  shift 4
  local patience=1 # seconds until mpirun informs the others, and again until it kills them; more for Ctrl-C's checkpoint
  [ "$signal" != INT ] || patience=3
  timeout -k 5 100 "$mpirun" --oversubscribe "${root[@]}" --mca odls_base_sigkill_timeout $patience -n "$count" \
    "$program" "${long[@]}" --model "$work/$model" "$@" >out 2>err &
  local waiter=$!
  await "$model"
  launcher=$(pgrep -P $waiter)
  process=$launcher
  [ "$target" = mpirun ] || process=$(pgrep -P "$launcher" | sed -n "$((target + 1))p")
  local began=$SECONDS code=0
  kill -"$signal" "$process"
  wait $waiter || code=$?
  checks=$((checks + 2))
  [ $((SECONDS - began)) -lt 30 ] || wrong "$((SECONDS - began)) s until $count processes ended after $signal to $target"
  counts "$(pgrep -fc -- "--model $work/$model ")" 0 "processes left after $signal to $target of $count"
  return $code
}
steps() { head -c 100000 "$1/work/checkpoint.safetensors" | grep -ao '"step":"[0-9]*"' | tr -dc 0-9; }
# onward BEFORE STEP: a training of 400 steps has continued from one checkpoint to a later one
onward() {
  checks=$((checks + 1))
  [ "${1:-0}" -le "${2:-0}" ] && [ "${2:-0}" -gt 0 ] && [ "${2:-0}" -lt 400 ] ||
    wrong "checkpoints at step ${1:-none}, then ${2:-none}, of 400"
}
killed() { # CODE: of a training that lost a process
  checks=$((checks + 1))
  [ "$1" -ne 0 ] && [ "$1" -ne 124 ] || wrong "a killed process ended the training with $1: $(cat err)"
}

# One process begins; three continue; then four and two, of which one is killed; two finish. The result is that of one
# process alone.
on 0 0 "${long[@]}" --iterations 400 --model whole
timeout -k 5 100 "$program" "${long[@]}" --iterations 400 --model relay >/dev/null 2>&1 &
waiter=$!
await relay
kill -INT "$(pgrep -P $waiter)"
wait $waiter
counts $? 130 "the exit code after Ctrl-C"
first=$(steps relay)
onward 0 "$first"
stop INT mpirun 3 relay --iterations 400 && wrong "a training that was stopped by Ctrl-C ended well"
says "stopped during 'train'; what was done is saved" err
counts "$(own_lines)" 1 "lines after Ctrl-C"
second=$(steps relay)
onward "$first" "$second"
stop KILL 2 4 relay --iterations 400
killed $?
third=$(steps relay)
onward "$second" "$third"
stop KILL 0 2 relay --iterations 400 # the one that writes
killed $?
onward "$third" "$(steps relay)"
on 2 0 "${long[@]}" --iterations 400 --model relay
near whole/unet.safetensors relay/unet.safetensors 1e-2
cp relay/unet.safetensors done.safetensors
on 3 0 "${long[@]}" --iterations 400 --model relay # the training is complete: nothing changes
same done.safetensors relay/unet.safetensors

# ---- errors: one line, exit code 2, all processes end ----
fails 2 "'nowhere' is not there" "${all[@]}" --data nowhere --model x
fails 4 "choose a batch that is a multiple of 4" "${all[@]}" --batch 6 --model x
fails 2 "batch / accumulate that is a multiple of 2" "${all[@]}" --accumulate 4 --model x
fails 2 "'detect' is done by one process" detect --model m0 data/board/test/good/000.png
fails 2 "'ablate' is done by one process" ablate --model m0 --data data --category board --grid lambda=1 --out none
fails 2 "'figure' is done by one process" figure noising data/board/test/good/000.png --out figure.png
fails 2 "checkpoint of a training with other" "${all[@]}" --iterations 9 --model m2
on 2 0 --version
counts "$(wc -l <out)" 1 "lines of --version"
cp -r data damaged
head -c 300 data/board/train/good/007.png >damaged/board/train/good/007.png # one of them reads it
for n in 1 2 4; do fails $n "damaged/board/train/good/007.png' is damaged" "${all[@]}" --data damaged --model y; done
# One process has another command line.
checks=$((checks + 2))
"${launch[@]}" -n 1 "$program" "${all[@]}" --model z : -n 1 "$program" "${all[@]}" --seed 3 --model z >out 2>err
counts $? 2 "the exit code of processes with different settings"
says "has other settings than process 0" err
counts "$(own_lines)" 1 "lines about different settings"
"${launch[@]}" -n 1 "$program" "${all[@]}" --model z : -n 1 "$program" "${all[@]}" --data nowhere --model z >out 2>err
counts $? 2 "the exit code where one process fails"
says "'nowhere' is not there" err
counts "$(own_lines)" 1 "lines about the process that failed"
# One process is stopped, which mpirun does not notice.
for n in 2 3; do
  stop STOP $((n - 2)) $n still --iterations 100000 --wait-seconds 2
  counts $? 2 "the exit code where one of $n processes stands still"
  says "waited 2 s for the others" err
done

finish
