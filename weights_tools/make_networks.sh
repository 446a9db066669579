#!/usr/bin/env bash
# Makes networks/ again from nothing: the recipe of weights_tools/README.md.
#
#   weights_tools/make_networks.sh BUILD OUT      BUILD has pretrain; OUT gets resnet34.safetensors and vae.safetensors
#
# One thread each, both side by side. Stopped with Ctrl-C it goes on where it was when it is started again; stages that
# are done are kept.

set -euo pipefail
pretrain=$(realpath "$1")/pretrain
mkdir -p "$2"
out=$(realpath "$2")
export OMP_WAIT_POLICY=passive

[ -s "$out/resnet34.safetensors" ] || "$pretrain" extractor --threads 1 --out "$out/resnet34.safetensors" &

# Small scenes first: colours take many images to be learned, and small ones are cheap.
stage() { [ -s "$out/$1" ] || "$pretrain" vae --threads 1 --out "$out/$1" "${@:2}"; }
stage vae_1.safetensors --size 32 --batch 16 --steps 8000 --seed 1
stage vae_2.safetensors --size 32 --batch 16 --steps 12000 --seed 2 --start "$out/vae_1.safetensors"
stage vae.safetensors --size 128 --batch 8 --steps 1500 --seed 3 --start "$out/vae_2.safetensors"
wait

"$pretrain" check --vae "$out/vae.safetensors" --extractor "$out/resnet34.safetensors"
