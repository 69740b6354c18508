#!/bin/sh
# Train a model of train.sh further: refine.sh FOLDER FIRST.safetensors OUT.safetensors [OPTION]...
# Fields with many nuclei are drawn more often, and the augmentation is weaker.
set -eu
folder=$1 first=$2 out=$3
shift 3
exec sh "$(dirname "$0")/train.sh" "$folder" "$out" --from "$first" \
    --steps 9500 --validate-every 950 --freeze-statistics 0.3 --sample-by objects \
    --augment warp_share=0.3 --augment elastic_voxels=5 --augment scale=0.8,1.25 \
    --augment grey_share=0.3 --augment gain=0.7,1.4 "$@"
