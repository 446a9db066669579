# Tests the logs of training: loss.csv and event files for TensorBoard are the same if training was interrupted. Sourced by
# tests/program.sh, which has trained whole/ (and adapted it) and stopped/.

unet=events.out.tfevents.1.unet adapt=events.out.tfevents.2.adapt
exists "whole/$unet"
exists "whole/$adapt"
[ ! -e "stopped/$adapt" ] || wrong "there are events of an adaptation that was not"
cmp -s <(cut -d, -f1-4 whole/loss.csv) <(cut -d, -f1-4 stopped/loss.csv) ||
  wrong "loss.csv of a stopped training differs: $(diff whole/loss.csv stopped/loss.csv)"
counts "$(wc -l <whole/loss.csv)" 21 "lines of loss.csv"
# Records have the same lengths; only times and rates in them differ.
counts "$(stat -c %s "stopped/$unet")" "$(stat -c %s "whole/$unet")" "bytes of events of a stopped training"
cp "stopped/$unet" kept
for damage in "truncate -s -7" "truncate -s 100" "truncate -s +50" rm; do
  $damage "stopped/$unet"
  runs 0 "${train[@]}" --model stopped --iterations 40
  cmp -s "stopped/$unet" kept || wrong "events after '$damage' were not made whole"
done
events=0
python3 "$repository/tests/event_files.py" whole stopped >out 2>err || events=$?
checks=$((checks + 1))
[ $events -eq 0 ] || [ $events -eq 77 ] || wrong "TensorBoard and the event files: $(cat out err)"
cat out
runs 0 adapt --data "$data" --category board --model whole --gamma 0 --quiet
[ ! -e "whole/$adapt" ] || wrong "events of an adaptation are left without one"
