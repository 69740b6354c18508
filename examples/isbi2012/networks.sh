#!/bin/sh
# The networks that the U-Net paper compares: networks.sh DATA OUT [MINUTES], equal time for each.
set -eu
here=$(dirname "$0") data=$1 out=$2 minutes=${3:-8}
mkdir -p "$out"
train() {
    name=$1
    shift
    sh "$here/train.sh" "$data/train-20" "$out/$name.safetensors" \
        --network "$name" --minutes "$minutes" --validate-every 100 "$@"
    sh "$here/score.sh" "$data" "$out/$name.safetensors" "$out/$name.zarr" > "$out/$name.json"
}
train unet
train fcn
train sliding-window --patch 64 --dropout 0
