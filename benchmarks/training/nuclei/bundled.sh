#!/bin/sh
# Train the bundled model as three networks, each from the one before: bundled.sh FOLDER OUT
# A second run skips networks that have a .json file, and trains the others from the start.
set -eu
here=$(dirname "$0") folder=$1 out=$2
mkdir -p "$out"
once() {
    name=$1 script=$2
    shift 2
    [ ! -s "$out/$name.json" ] || return 0
    sh "$here/$script" "$folder" "$@" --overwrite --json > "$out/$name.json"
}
once first train.sh "$out/first.safetensors"
once second refine.sh "$out/first.safetensors" "$out/second.safetensors"
# Class weights are nearer to the true frequencies; the statistics of batches are frozen.
once nuclei refine.sh "$out/second.safetensors" "$out/nuclei.safetensors" \
    --steps 6000 --validate-every 600 --freeze-statistics 0 --class-balance 0.25 \
    --calibrate --card "$here/card.json"
