# Tests every ResNet as the extractor, from training to detection, at an eighth of its width. Sourced by
# tests/program.sh.

extractor_layers() { # ARCHITECTURE -> layers of the conditioning and of the map, different ones for each
  case $1 in
  resnet18) echo 1 1 ;;
  resnet34) echo 2 2,3 ;;
  resnet50) echo 3 1,2,3 ;;
  resnet101) echo 2 3 ;;
  wide_resnet50_2) echo 1 2,3 ;;
  wide_resnet101_2) echo 3 1,3 ;;
  esac
}
if python3 -c 'import sys; assert sys.version_info >= (3, 9)' 2>/dev/null; then
  for architecture in resnet18 resnet34 resnet50 resnet101 wide_resnet50_2 wide_resnet101_2; do
    python3 "$repository/tests/make_extractor.py" $architecture 8 $architecture.safetensors || wrong "$architecture was not made"
    runs 0 inspect $architecture.safetensors
    says "\"architecture\":\"$architecture\""
    read -r dic map < <(extractor_layers $architecture)
    runs 0 "${train[@]}" --model $architecture --iterations 2 --batch 8 --gamma 1 --extractor $architecture.safetensors \
      --dic-layer "$dic" --map-layers "$map"
    grep -q "\"architecture\": \"$architecture\"" $architecture/config.json || wrong "config.json does not say $architecture"
    cmp -s $architecture/extractor.safetensors $architecture.safetensors && wrong "$architecture was not adapted"
    runs 0 detect --model $architecture --threshold 1e9 --format csv "$good/000.png"
    scores=$(tail -1 out)
    [[ $scores =~ ,[0-9.e+-]+,good, ]] || wrong "$architecture: no score in '$scores'"
    if [ $architecture = resnet50 ]; then # adapt and evaluate without train, too
      runs 0 adapt --data "$data" --category board --model $architecture --gamma 2 --map-layers 3 --quiet
      runs 0 detect --model $architecture --threshold 1e9 --format csv "$good/000.png"
      [ "$(tail -1 out)" != "$scores" ] || wrong "another adaptation and another layer give the same score"
      runs 0 evaluate --model $architecture --data "$data" --category board --out bottlenecks --no-report --quiet
    fi
    rm -r $architecture
  done
else
  echo "extractors: not tried, there is no Python to make them"
fi
