#!/usr/bin/env bash
# Tests that object files of both forms of the library, header-only and compiled, do not link, nor those of two versions.
# The linker's error names a symbol that says why (include/d3ad/core/compiled.hpp).
#
#   tests/mixed_forms.sh INSTALLED WORK

set -euo pipefail
include=$1/include
work=$2
mkdir -p "$work"
cat >"$work/one.cpp" <<'END'
#include <d3ad/core/tensor.hpp>
int other();
int main() { return other(); }
END
cat >"$work/two.cpp" <<'END'
#include <d3ad/core/tensor.hpp>
int other() { return 0; }
END
rm -rf "$work/include"
cp -r "$include" "$work/include"  # the same headers under another version
sed -i 's/define D3AD_VERSION_PATCH .*/define D3AD_VERSION_PATCH 99/' "$work/include/d3ad/core/compiled.hpp"
compile() { g++ -std=c++20 "${@:3}" -I"$include" -c "$work/$1.cpp" -o "$work/$2.o"; }
compile one one
compile two same
compile two compiled -DD3AD_COMPILED
compile two version -I"$work/include"

g++ "$work/one.o" "$work/same.o" -o "$work/program" && "$work/program"
for other in compiled version; do
  if g++ "$work/one.o" "$work/$other.o" -o "$work/program" 2>"$work/$other.log"; then
    echo "mixed_forms: one.o links with $other.o" >&2
    exit 1
  fi
  grep -q "multiple definition of .d3ad_files_are_of_different_forms_or_versions" "$work/$other.log" || {
    echo "mixed_forms: the linker does not say why for $other.o:" >&2
    cat "$work/$other.log" >&2
    exit 1
  }
done
echo "mixed_forms: refused by the linker, as it has to be"
