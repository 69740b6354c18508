#!/bin/sh
# Train a network for membranes: train.sh FOLDER OUT.safetensors [OPTION]...
# FOLDER holds images.zarr and labels.zarr from prepare.py; the label 0 is membrane.
set -eu
folder=$1 out=$2
shift 2
exec bigunet train "$folder/images.zarr" "$folder/labels.zarr" --out "$out" \
    --target boundaries --border-width 0 --connected --class-name membrane --class-name interior \
    --ndim 2 --width 24 --depth 4 --batch-norm --dropout 0.2 \
    --steps 3600 --batch 1 --patch 388 --precision bf16 \
    --optimiser adamw --learning-rate 0.001 --weight-decay 0.0001 --averaging 0.998 \
    --freeze-statistics 0.3 --class-balance 1 --augment interpolation_order=1 \
    --validation 0 --validate-every 600 "$@"
