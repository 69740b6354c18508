#!/bin/sh
# What the weight map is worth: weight_map.sh FOLDER OUT; the same steps with and without it.
set -eu
here=$(dirname "$0") folder=$1 out=$2
mkdir -p "$out"
for weight in 10 0; do
    sh "$here/train.sh" "$folder" "$out/border-weight-$weight.safetensors" \
        --steps 800 --validate-every 800 --border-weight "$weight" --json \
        > "$out/border-weight-$weight.json"
done
