#!/bin/bash
# An image on the GPUs of two nodes, through Dask.
# Image, numbers and environment are an example: 'bigunet jobs slurm' fills in yours.
#
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --job-name=bigunet
#SBATCH --output=bigunet-%j.log
#SBATCH --open-mode=append
#SBATCH --partition=gpu
#SBATCH --gres=gpu:4
#SBATCH --cpus-per-task=32
#SBATCH --mem=64000M
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue

# The environment: lines such as 'module load' and 'conda activate' go here; --env adds them.
module load cuda
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

# A folder for the scheduler's address and a key. Anyone who has the key can run any code as you.
folder=${SLURM_SUBMIT_DIR:-$PWD}/.bigunet-$SLURM_JOB_ID
# shellcheck disable=SC2329 # the trap calls it
end() {
    # The scheduler ends the workers. They have 20 seconds, because some may hang.
    if [ -n "$scheduler" ]; then kill "$scheduler" 2>/dev/null; fi
    for _ in {1..200}; do
        if [ -z "$workers" ] || ! kill -0 "$workers" 2>/dev/null; then break; fi
        sleep 0.1
    done
    if [ -n "$workers" ]; then kill "$workers" 2>/dev/null; fi
    rm -rf "$folder"
}
workers=
scheduler=
trap end EXIT
rm -rf "$folder"
mkdir -m 700 "$folder" || exit 1
openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=bigunet \
    -keyout "$folder/key.pem" -out "$folder/cert.pem" 2>"$folder/openssl.log" ||
    { cat "$folder/openssl.log" >&2; exit 1; }
export DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION=True
export DASK_DISTRIBUTED__COMM__TLS__CA_FILE="$folder/cert.pem"
for role in SCHEDULER WORKER CLIENT; do
    export "DASK_DISTRIBUTED__COMM__TLS__${role}__CERT=$folder/cert.pem"
    export "DASK_DISTRIBUTED__COMM__TLS__${role}__KEY=$folder/key.pem"
done

# The settings of workers that bigunet starts itself.
export DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT=60s
export MALLOC_TRIM_THRESHOLD_=4000000000
export MALLOC_MMAP_THRESHOLD_=4000000000
export DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL=500ms
export DASK_DISTRIBUTED__WORKER__PROFILE__INTERVAL=100ms
export DASK_DISTRIBUTED__WORKER__MEMORY__MONITOR_INTERVAL=500ms
export DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__LOG_LENGTH=1200
export CUDA_DEVICE_ORDER=PCI_BUS_ID
export PYTHONWARNINGS=ignore
export DASK_LOGGING__DISTRIBUTED=warning

# The messages of Dask matter only if something goes wrong.
log=${SLURM_SUBMIT_DIR:-$PWD}/bigunet-$SLURM_JOB_ID-dask.log
dask scheduler \
    --scheduler-file "$folder/scheduler.json" --protocol tls --interface ib0 \
    --no-dashboard --dashboard-address 127.0.0.1:0 --port 0 >>"$log" 2>&1 &
scheduler=$!
until grep -qs address "$folder/scheduler.json"; do
    if ! kill -0 "$scheduler" 2>/dev/null; then
        echo "Dask's scheduler did not start, see $log" >&2
        exit 1
    fi
    sleep 0.2
done

srun --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 \
    --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=0 \
    dask cuda worker \
    --scheduler-file "$folder/scheduler.json" --protocol tls --interface ib0 \
    --no-dashboard --dashboard-address 127.0.0.1:0 \
    --nthreads 3 --memory-limit 0 --death-timeout 120 --local-directory "${TMPDIR:-/tmp}" >>"$log" 2>&1 &
workers=$!
# Before the command plans, it asks the workers for the memory of their GPUs: one must be there.
if ! python -c 'import sys; from distributed import Client
Client(scheduler_file=sys.argv[1]).wait_for_workers(1, timeout=300)' \
    "$folder/scheduler.json" >>"$log" 2>&1; then
    echo "no Dask worker came, see $log" >&2
    exit 1
fi

# The ledgers have one line for each finished block.
done_lines() { cat /scratch/me/out.zarr/bigunet/*.jsonl 2>/dev/null | wc -l; }
done_before=$(done_lines)

begin=()
# A job that was queued again may have begun its output already.
if [ "${SLURM_RESTART_COUNT:-0}" != 0 ]; then begin=(--resume); fi

bigunet segment \
    /scratch/me/image.zarr \
    /scratch/me/out.zarr \
    --device=cuda \
    --memory-limit=60000MB \
    --scheduler="$folder/scheduler.json" --workers=4 "${begin[@]}" &
pid=$!
if [ "$asked" != 0 ]; then ask; fi
# Without workers the command would wait until its time is up. (If a node fails, Slurm ends the
# whole job.)
while kill -0 "$pid" 2>/dev/null; do
    if ! kill -0 "$workers" 2>/dev/null; then
        echo "Dask's workers have all ended, see $log; the command is ended, too" >&2
        kill "$pid"
        break
    fi
    sleep 1
done
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
    if scontrol requeue "$SLURM_JOB_ID"; then exit 0; fi
    echo "the job could not be queued again; submit the script again, printed with --resume" >&2
fi
exit "$code"
