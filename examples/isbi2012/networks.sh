#!/bin/sh
# The networks that the U-Net paper compares: networks.sh DATA OUT [MINUTES], equal time for each.
# Run again, it leaves those alone whose .json is written, and begins the others anew.
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
