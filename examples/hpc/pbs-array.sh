#!/bin/bash
# Eight parts of an image, for PBS Pro and OpenPBS; not tested on a real PBS. Submit it twice: the
# second array computes what the first one had no time for. If nothing is missing, it takes seconds:
#   first=$(qsub pbs-array.sh) && qsub -W depend=afterany:"$first" pbs-array.sh
#PBS -N bigunet
#PBS -J 1-8
#PBS -l select=1:ncpus=8:mem=10gb
#PBS -l walltime=02:00:00
#PBS -j oe
#PBS -r y
# For a GPU, write select=1:ncpus=8:ngpus=1:mem=10gb, and --device cuda below.

in=/scratch/me/image.zarr
out=/scratch/me/out.zarr
parts=8 # as in -J
# Less than the walltime: bigunet needs the difference to finish the blocks in work.
time=110m

cd "$PBS_O_WORKDIR" || exit 1
# The environment: module load, conda activate ...
source ~/bigunet/.venv/bin/activate

# PBS sends no signal before the end, so timeout does. bigunet then exits with 75.
timeout --preserve-status --signal=USR1 "$time" \
    bigunet segment "$in" "$out" --memory-limit 8GB --part "$PBS_ARRAY_INDEX/$parts"
