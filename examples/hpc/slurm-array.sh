#!/bin/bash
# Eight parts of an image.
# Image, numbers and environment are an example: 'bigunet jobs slurm' fills in yours.
#
#SBATCH --array=1-8
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --job-name=bigunet
#SBATCH --output=bigunet-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --partition=cpu
#SBATCH --cpus-per-task=8
#SBATCH --mem=10000M
#SBATCH --time=02:00:00
#SBATCH --signal=B:USR1@600
#SBATCH --requeue

# The environment: lines such as 'module load' and 'conda activate' go here; --env adds them.
source ~/bigunet/.venv/bin/activate
# (end of the environment)
# A signal makes 'wait' return an error, which must not end this script.
set +eu

# Before the time is up, the batch system signals this shell, and the shell signals the command,
# which finishes the blocks in work and exits with 75.
asked=0
pid=
ask() {
    asked=$((asked + 1))
    if [ -n "$pid" ]; then kill -USR1 "$pid" 2>/dev/null; fi
}
trap ask USR1

# The ledgers have one line for each finished block.
done_lines() { cat /scratch/me/out.zarr/bigunet/*.jsonl 2>/dev/null | wc -l; }
done_before=$(done_lines)

bigunet segment \
    /scratch/me/image.zarr \
    /scratch/me/out.zarr \
    --channel=DAPI \
    --memory-limit=8000MB \
    --part="$SLURM_ARRAY_TASK_ID/8" &
pid=$!
if [ "$asked" != 0 ]; then ask; fi
# The signal ends 'wait' but not the command: wait again.
while :; do
    before=$asked
    wait "$pid"
    code=$?
    if [ "$asked" = "$before" ]; then break; fi
done

# 75: the command stopped between two blocks because its time was nearly up. 138 (128 + SIGUSR1):
# the signal came before the command could handle it. Queue the job again, and it goes on.
if [ "$code" = 75 ] || [ "$code" = 138 ]; then
    if [ "${SLURM_RESTART_COUNT:-0}" != 0 ] && [ "$(done_lines)" = "$done_before" ]; then
        echo "not queued again: since it was queued last it has finished no block; give more" \
            "--walltime or a smaller --block-shape" >&2
        exit "$code"
    fi
    if scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"; then exit 0; fi
    echo "the job could not be queued again; submit the script again" >&2
fi
exit "$code"
