#!/bin/bash
# One small job runs bigunet, which submits a job for each worker and replaces jobs that end:
#   sbatch slurm-jobqueue.sh IN OUT [options of bigunet segment]
# Where it is allowed, the same command can run on a login node in tmux. It must live longer than the
# workers, nodes must allow jobs to submit jobs, and it needs pip install 'bigunet[jobqueue]'.
#SBATCH --job-name=bigunet
#SBATCH --output=bigunet-%j.log
#SBATCH --open-mode=append
#SBATCH --cpus-per-task=2
#SBATCH --mem=4G
#SBATCH --time=1-00:00:00
# Because of exec below, bigunet receives this signal: it finishes the blocks in work and exits with
# 75. To continue, submit the script again with --resume as the last word.
#SBATCH --signal=B:USR1@900

# The environment: module load, conda activate ...
source ~/bigunet/.venv/bin/activate

# The workers are 16 jobs with 8 cores each. For GPUs, add --job-gpus 1. --interface names a network
# that all nodes share.
exec bigunet segment "$1" "$2" --cluster slurm --workers 16 \
    --queue cpu --walltime 02:00:00 --job-cores 8 --job-memory 12GB \
    --interface ib0 "${@:3}"
