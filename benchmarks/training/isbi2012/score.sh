#!/bin/sh
# Score a network for membranes: score.sh DATA MODEL.safetensors OUT.zarr [OPTION]...; prints JSON.
# DATA is the output of prepare.py. OUT.zarr becomes the segmentation of the slices for scoring; if
# it exists, give --overwrite. OPTION is an option of `bigunet segment`.
set -eu
data=$1 model=$2 out=$3
shift 3
bigunet segment "$data/scored/images.zarr" "$out" --model "$model" --quiet \
    --output classes --output probabilities "$@"
exec bigunet evaluate "$out/probabilities" "$data/scored/labels.zarr" --json \
    --kind boundaries --channel interior --threshold 0.5
