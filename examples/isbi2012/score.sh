#!/bin/sh
# Score a membrane network: score.sh DATA MODEL.safetensors FOUND.zarr [OPTION]...; prints JSON.
# DATA is what prepare.py wrote; FOUND.zarr, what the network finds in the scored slices: where it
# exists, give --overwrite, or another option of `bigunet segment`.
set -eu
data=$1 model=$2 found=$3
shift 3
bigunet segment "$data/scored/images.zarr" "$found" --model "$model" --quiet \
    --output classes --output probabilities "$@"
exec bigunet evaluate "$found/probabilities" "$data/scored/labels.zarr" --json \
    --kind boundaries --channel interior --threshold 0.5
