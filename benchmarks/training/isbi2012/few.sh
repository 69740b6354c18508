#!/bin/sh
# Train on 1, 5 and 20 slices with the same number of steps, and score: few.sh DATA OUT
# A second run skips models that have a .json file, and trains the others from the start.
set -eu
here=$(dirname "$0") data=$1 out=$2
mkdir -p "$out"
for count in 1 5 20; do
    [ ! -s "$out/$count.json" ] || continue
    sh "$here/train.sh" "$data/train-$count" "$out/$count.safetensors" --steps 1500 \
        --patch 324 --augment interpolation_order=3 --overwrite
    sh "$here/score.sh" "$data" "$out/$count.safetensors" "$out/$count.zarr" --overwrite \
        > "$out/$count.json"
done
