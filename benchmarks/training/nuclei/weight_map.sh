#!/bin/sh
# Train with and without the weight map, with the same number of steps: weight_map.sh FOLDER OUT
# A second run skips models that have a .json file, and trains the others from the start.
set -eu
here=$(dirname "$0") folder=$1 out=$2
mkdir -p "$out"
for weight in 10 0; do
    [ ! -s "$out/border-weight-$weight.json" ] || continue
    sh "$here/train.sh" "$folder" "$out/border-weight-$weight.safetensors" \
        --steps 800 --validate-every 800 --border-weight "$weight" --overwrite --json \
        > "$out/border-weight-$weight.json"
done
