#!/bin/sh
# Train a network for nuclei in fluorescence images: train.sh FOLDER OUT.safetensors [OPTION]...
# FOLDER holds images/ and labels/ with PNG files of the same names; each nucleus has its own label.
set -eu
folder=$1 out=$2
shift 2
exec bigunet train "$folder/images" "$folder/labels" --out "$out" \
    --target cells --class-name background --class-name nucleus --class-name border \
    --width 24 --depth 3 --batch-norm --dropout 0 \
    --steps 6500 --batch 2 --patch 256 --precision bf16 \
    --optimiser adamw --learning-rate 0.001 --weight-decay 0.0001 --averaging 0.998 \
    --freeze-statistics 0.5 --class-balance 0.5 --sample-by images \
    --augment warp_share=0.5 --augment interpolation_order=1 \
    --augment scale=0.75,1.33 --augment gain=0.5,1.5 \
    --validate-every 500 --half "$@"
