#!/bin/bash
# Eight parts of an image, for LSF 10; not tested on a real LSF:
#   bsub < lsf-array.sh
#BSUB -J "bigunet[1-8]"
#BSUB -o bigunet-%J-%I.log
#BSUB -n 8
#BSUB -R "span[hosts=1]"
# Each site decides whether memory counts per job, host or core, and in which unit: ask.
#BSUB -R "rusage[mem=10GB]"
#BSUB -M 10GB
#BSUB -W 2:00
# The signal comes ten minutes before the end; LSF queues a job that exits with 75 again.
#BSUB -wa 'USR1'
#BSUB -wt '10'
#BSUB -Q "75"
# LSF also starts a job again after the loss of its host.
#BSUB -r
# For a GPU, add #BSUB -gpu "num=1", and --device cuda below.

in=/scratch/me/image.zarr
out=/scratch/me/out.zarr
parts=8 # as in -J

# The environment: module load, conda activate ...
source ~/bigunet/.venv/bin/activate

# Before the time is up, the batch system signals this shell, and the shell signals the command,
# which finishes the blocks in work and exits with 75.
asked=0
pid=
ask() {
    asked=$((asked + 1))
    if [ -n "$pid" ]; then kill -USR1 "$pid" 2>/dev/null; fi
}
trap ask USR1

bigunet segment "$in" "$out" --memory-limit 8GB --part "$LSB_JOBINDEX/$parts" &
pid=$!
if [ "$asked" != 0 ]; then ask; fi
# The signal ends 'wait' but not the command: wait again.
while :; do
    before=$asked
    wait "$pid"
    code=$?
    if [ "$asked" = "$before" ]; then break; fi
done
exit "$code"
