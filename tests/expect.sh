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
says() { grep -qF -- "$1" "${2:-out}" || wrong "'$1' is not in ${2:-out}: $(head -c 2000 "${2:-out}")"; }
counts() { [ "$1" -eq "$2" ] || wrong "$3: $1, expected $2"; }
exists() { [ -s "$1" ] || wrong "$1 was not written"; }
finish() {
  echo "$checks checks, $failures failed"
  [ $failures -eq 0 ]
}
