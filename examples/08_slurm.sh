#!/bin/bash
# Segment an image with the nodes of a Slurm cluster: examples/08_slurm.sh IMAGE OUT.zarr [OPTION]...
# An OPTION is one of `bigunet jobs slurm`, such as --within 2h, --partition cpu or --gpus 1.
# If the jobs end early, run it again: they go on with the blocks that are left.
set -euo pipefail
image=$1 out=$2
shift 2

# bigunet looks at the image, runs a few tiles here, and prints a job script that fits.
bigunet jobs slurm "$image" "$out" "$@" > bigunet-job.sh
sbatch bigunet-job.sh
