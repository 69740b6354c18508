#!/bin/sh
# What the weight map is worth: weight_map.sh FOLDER OUT; the same steps with and without it.
# Run again, it leaves those alone whose .json is written, and begins the others anew.
set -eu
here=$(dirname "$0") folder=$1 out=$2
mkdir -p "$out"
for weight in 10 0; do
    [ ! -s "$out/border-weight-$weight.json" ] || continue
    sh "$here/train.sh" "$folder" "$out/border-weight-$weight.safetensors" \
        --steps 800 --validate-every 800 --border-weight "$weight" --overwrite --json \
        > "$out/border-weight-$weight.json"
done
