#!/bin/bash
# One small job that has bigunet ask Slurm for workers, a job each, and replace those that end:
#   sbatch slurm-jobqueue.sh IN OUT [options of bigunet segment]
# The same command runs on a login node in tmux, where that is allowed. It must outlive the
# workers, and the nodes must let jobs submit jobs; pip install 'bigunet[jobqueue]'.
#SBATCH --job-name=bigunet
#SBATCH --output=bigunet-%j.log
#SBATCH --open-mode=append
#SBATCH --cpus-per-task=2
#SBATCH --mem=4G
#SBATCH --time=1-00:00:00
# exec, below, makes bigunet the process that gets this: it finishes its blocks and leaves with 75.
# Submit it again with --resume as the last word, and it goes on.
#SBATCH --signal=B:USR1@900

# The environment: module load, conda activate ...
source ~/bigunet/.venv/bin/activate

# Workers: 16 jobs, each of 8 cores. For GPUs --job-gpus 1; --interface is a network that all
# nodes have.
exec bigunet segment "$1" "$2" --cluster slurm --workers 16 \
    --queue cpu --walltime 02:00:00 --job-cores 8 --job-memory 12GB \
    --interface ib0 "${@:3}"
