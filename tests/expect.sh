# Functions for the tests of the program d3ad. Set $program, then:  . tests/expect.sh

failures=0 checks=0

wrong() {
  echo "FAILED: $*" >&2
  failures=$((failures + 1))
}
# runs CODE ARGUMENTS...: the program ends with that code; stdout and stderr are kept in out and err
runs() {
  local code=$1 got=0
  shift
  "$program" "$@" >out 2>err || got=$?
  checks=$((checks + 1))
  [ "$got" -eq "$code" ] || { wrong "d3ad $* ended with $got, expected $code"; cat out err >&2; }
}
# refuses TEXT ARGUMENTS...: exit code 2, one line on stderr that holds the text, nothing else
refuses() {
  local text=$1
  shift
  runs 2 "$@"
  grep -qF -- "$text" err || wrong "d3ad $*: stderr does not say '$text': $(cat err)"
  [ "$(wc -l <err)" -eq 1 ] || wrong "d3ad $*: $(wc -l <err) lines on stderr"
}
# stops SIGNAL CODE WHEN ARGUMENTS...: the program gets the signal as soon as the condition WHEN holds, and ends with
# that code. It fails if the program has ended by itself before: WHEN has to be a sign that work is under way.
stops() {
  local signal=$1 code=$2 when=$3 got=0 process
  shift 3
  eval "$when" && wrong "d3ad $*: '$when' holds before it has begun"
  "$program" "$@" >out 2>err &
  process=$!
  for _ in $(seq 12000); do # a minute and more
    eval "$when" && break
    kill -0 $process 2>/dev/null || break
    sleep 0.005
  done
  kill "-$signal" $process 2>/dev/null
  wait $process 2>/dev/null || got=$?
  checks=$((checks + 1))
  [ "$got" -eq "$code" ] ||
    { wrong "d3ad $* ended with $got after $signal when '$when', expected $code"; cat out err >&2; }
}
says() { grep -qF -- "$1" "${2:-out}" || wrong "'$1' is not in ${2:-out}: $(head -c 2000 "${2:-out}")"; }
counts() { [ "$1" -eq "$2" ] || wrong "$3: $1, expected $2"; }
exists() { [ -s "$1" ] || wrong "$1 was not written"; }
finish() {
  echo "$checks checks, $failures failed"
  [ $failures -eq 0 ]
}
