#!/usr/bin/env bash
# Tests a program d3ad that was built without MPI: several processes refuse to run, because they would overwrite each
# other's files; one process runs.
#
#   tests/without_mpi.sh PROGRAM

set -uo pipefail
tests=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
. "$tests/expect.sh"

export OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=0
refuses "built without MPI" train --data data --model model
refuses "one of 2 processes" evaluate --model model --data data --out out
OMPI_COMM_WORLD_RANK=1 runs 2 train --data data --model model
counts "$(wc -c <err)" 0 "characters of the second process" # the first one says it
unset OMPI_COMM_WORLD_SIZE OMPI_COMM_WORLD_RANK
PMI_SIZE=3 PMI_RANK=0 refuses "one of 3 processes" train --data data --model model
OMPI_COMM_WORLD_SIZE=1 OMPI_COMM_WORLD_RANK=0 runs 0 --version
runs 0 --version
refuses "'data' is not there" train --data data --model model

finish
