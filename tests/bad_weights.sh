# Tests files of weights that belong to another network, are incomplete, truncated or changed, and full disks: each gives
# one sentence, and existing files stay as they are. Sourced by tests/program.sh, which has trained models.

spoilt() { # FROM TO FILE: replaces FROM by TO, of the same length, in its header; writes spoilt.safetensors
  LC_ALL=C sed "s/$1/$2/g" "$3" >spoilt.safetensors
  checks=$((checks + 1))
  [ "$(stat -c %s spoilt.safetensors)" -eq "$(stat -c %s "$3")" ] && ! cmp -s "$3" spoilt.safetensors || wrong "$3 has no $1"
}
one_tensor() { # NAME FILE
  local header="{\"$1\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"
  printf "\\x$(printf %02x ${#header})\0\0\0\0\0\0\0%s\0\0\0\0" "$header" >"$2"
}
never=(train --data "$data" --category board --quiet --model never)

# ---- another network, an unknown one, one that is known but not supported ----
refuses "holds ResNet; expected an AutoencoderKL" "${never[@]}" --vae "$extractor"
refuses "holds UNet (guided diffusion); expected a ResNet-18" "${never[@]}" --extractor whole/unet.safetensors
one_tensor features.0.weight other.safetensors
refuses "holds no network that is known here (1 tensors, the first is 'features.0.weight')" "${never[@]}" --vae other.safetensors
refuses "holds no network that is known here (1 tensors, the first is 'features.0.weight')" \
  "${never[@]}" --extractor other.safetensors
runs 0 inspect other.safetensors
says "network: none that is known here"
mkdir -p consistency
one_tensor decoder_unet.conv_in.weight consistency/diffusion_pytorch_model.safetensors
echo '{"_class_name": "ConsistencyDecoderVAE"}' >consistency/config.json
refuses "OpenAI's consistency decoder (diffusers' ConsistencyDecoderVAE), which is not supported; take the VAE" \
  "${never[@]}" --vae consistency
runs 0 inspect consistency
says "network: OpenAI's consistency decoder (diffusers' ConsistencyDecoderVAE), which is not supported"

# ---- missing and unknown tensors, each with the most similar name ----
spoilt 'layer2\.0\.bn1\.bias' 'layer2.0.bn1.bais' "$extractor"
refuses "1 tensor is missing: 'layer2.0.bn1.bias' [64] (the nearest is 'layer2.0.bn1.bais'); 1 of its" \
  "${never[@]}" --extractor spoilt.safetensors
runs 1 inspect spoilt.safetensors
says "missing: layer2.0.bn1.bias"
says "left over: layer2.0.bn1.bais"
spoilt 'norm1\.bias' 'norm1.bais' "$vae"
refuses "tensors are missing: 'encoder.down_blocks.0.resnets.0.norm1.bias'" "${never[@]}" --vae spoilt.safetensors
says "(the nearest is 'encoder.down_blocks.0.resnets.0.norm1.bais')" err
says "tensors were not used: 'decoder." err

# ---- files that are truncated anywhere ----
size=$(stat -c %s "$extractor")
for length in 0 7 8 100 5000 $((size / 2)) $((size - 1)); do
  head -c "$length" "$extractor" >cut.safetensors
  refuses "cut.safetensors" "${never[@]}" --extractor cut.safetensors
  refuses "cut.safetensors" inspect cut.safetensors
done
cp "$extractor" long.safetensors
printf x >>long.safetensors
refuses "long.safetensors" "${never[@]}" --extractor long.safetensors
printf 'PK\3\4 and no more' >resnet34.pth
refuses "convert it: python3 weights_tools convert resnet34.pth" "${never[@]}" --extractor resnet34.pth
[ ! -e never ] || [ -z "$(find never -name '*.safetensors')" ] || wrong "bad weights left something: $(find never)"

# ---- a model whose files were changed ----
cp -r whole changed
for name in unet.safetensors extractor.safetensors dic.safetensors vae.safetensors; do
  printf '\x2a' | dd of=changed/$name bs=1 seek=$(($(stat -c %s changed/$name) - 2)) conv=notrunc status=none
  refuses "checksum" detect --model changed --quiet "$good/000.png"
  says "changed" err
  cp whole/$name changed/$name
done
cp changed/calibration.json kept.json
sed -i 's/"threshold": [0-9]/"threshold": 9/' changed/calibration.json
cmp -s changed/calibration.json kept.json && wrong "the threshold was not changed"
refuses "checksum" detect --model changed --quiet "$good/000.png"
rm changed/unet.safetensors
refuses "unet.safetensors" detect --model changed --quiet "$good/000.png"
rm -r changed

# ---- full disks, simulated by a limit on file sizes: the model is unchanged ----
no_space() { # BLOCKS ARGUMENTS...: exit code 2 and one line that names the limit
  local blocks=$1 got=0
  shift
  (
    ulimit -f "$blocks"
    trap '' XFSZ
    exec "$program" "$@" >/dev/null 2>err
  ) || got=$?
  checks=$((checks + 1))
  [ $got -eq 2 ] && [ "$(wc -l <err)" -eq 1 ] || wrong "without space d3ad $* ended with $got: $(cat err)"
  says "cannot write '" err
  says "File too large; raise the limit on file sizes (ulimit -f) or choose another disk" err
}
runs 0 detect --model whole --threshold 1e9 --format csv "$good/000.png"
before=$(tail -1 out)
cp -r whole kept_model
no_space 1 adapt --data "$data" --category board --model whole --gamma 1 --quiet
no_space 1 calibrate --data "$data" --category board --model whole --T-max 200 --quiet
for name in $(ls kept_model | grep -v work); do
  cmp -s "whole/$name" "kept_model/$name" || wrong "a full disk changed whole/$name"
done
runs 0 detect --model whole --threshold 1e9 --format csv "$good/000.png"
[ "$(tail -1 out)" = "$before" ] || wrong "a full disk changed a model: $before, $(tail -1 out)"
no_space 1 detect --model whole --threshold 1e9 --heat --out no_space --quiet "$good/000.png"
no_space 1 evaluate --model whole --data "$data" --category board --out no_space --quiet
counts "$(find whole no_space -name '*.tmp*' -o -type f -size 0 | wc -l)" 0 "parts of files after a full disk"
