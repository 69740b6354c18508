#!/bin/sh
# Train a network for the boundaries of cells: train.sh FOLDER OUT.safetensors [OPTION]...
# FOLDER holds images.zarr and labels.zarr from prepare.py; each cell has a label of its own.
set -eu
folder=$1 out=$2
shift 2
exec bigunet train "$folder/images.zarr" "$folder/labels.zarr" --out "$out" \
    --target boundaries --border-width 1 --class-name boundary --class-name interior \
    --width 16 --depth 2 --batch-norm --dropout 0 \
    --steps 4000 --batch 1 --patch 68 --precision bf16 \
    --optimiser adamw --learning-rate 0.001 --weight-decay 0.0001 --averaging 0.998 \
    --border-weight 0 --class-balance 1.5 --augment interpolation_order=1 \
    --augment elastic_voxels=4 \
    --validation 0.15 --validate-every 200 --half "$@"
