#!/bin/sh
# How few slices teach enough: few.sh DATA OUT; the same steps on 1, 5 and 20 slices.
# Run again, it leaves those alone whose .json is written, and begins the others anew.
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
