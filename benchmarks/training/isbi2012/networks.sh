#!/bin/sh
# Train the networks that the U-Net paper compares, each for the same time, and score them:
#   networks.sh DATA OUT [MINUTES]
# A second run skips networks that have a .json file, and trains the others from the start.
set -eu
here=$(dirname "$0") data=$1 out=$2 minutes=${3:-8}
mkdir -p "$out"
train() {
    name=$1
    shift
    [ ! -s "$out/$name.json" ] || return 0
    sh "$here/train.sh" "$data/train-20" "$out/$name.safetensors" \
        --network "$name" --minutes "$minutes" --validate-every 100 --overwrite "$@"
    sh "$here/score.sh" "$data" "$out/$name.safetensors" "$out/$name.zarr" --overwrite \
        > "$out/$name.json"
}
train unet
train fcn
train sliding-window --patch 64 --dropout 0
