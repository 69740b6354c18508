"""Pieces of bash that job scripts are made of."""

from __future__ import annotations

# 75: stopped between blocks, as asked. 138 = 128 + SIGUSR1: asked before it could listen.
REQUEUE = """\
# It was asked to end before its time: queue it again, and it goes on where it was.
if [ "$code" = 75 ] || [ "$code" = 138 ]; then
    if [ "${{SLURM_RESTART_COUNT:-0}}" != 0 ] && [ "$(done_lines)" = "$done_before" ]{known}; then
        echo "not queued again: since it was queued last it has finished no block; give more" \\
            "--walltime or a smaller --block-shape" >&2
        exit "$code"
    fi
    if scontrol requeue "{job}"; then exit 0; fi
    echo "the job could not be queued again; submit the script again{again}" >&2
fi
exit "$code"
"""

PROGRESS = """\
# Each finished block is a line of a ledger.
done_lines() {{ cat {folder}/*.jsonl 2>/dev/null | wc -l; }}
done_before=$(done_lines)
"""

ASKING = """\
# Slurm tells this shell before the time is up; the command finishes its blocks, and leaves with 75.
asked=0
pid=
ask() {
    asked=$((asked + 1))
    if [ -n "$pid" ]; then kill -USR1 "$pid" 2>/dev/null; fi
}
trap ask USR1
"""

STARTED = """\
pid=$!
if [ "$asked" != 0 ]; then ask; fi
"""

WATCHING = """\
# Without workers it would wait until its time is up. (A node that fails takes the job with it.)
while kill -0 "$pid" 2>/dev/null; do
    if ! kill -0 "$workers" 2>/dev/null; then
        echo "Dask's workers have all ended, see $log; the command is ended, too" >&2
        kill "$pid"
        break
    fi
    sleep 1
done
"""

WAITING = """\
# The signal ends the wait, too, but not the command.
while :; do
    before=$asked
    wait "$pid"
    code=$?
    if [ "$asked" = "$before" ]; then break; fi
done
"""

FOLDER = """\
# Here the scheduler says where it is. Whoever has the key in this folder may run anything as you.
folder=${SLURM_SUBMIT_DIR:-$PWD}/.bigunet-$SLURM_JOB_ID
# shellcheck disable=SC2329 # the trap calls it
end() {
    # The scheduler tells the workers to end; those that hang are not waited for.
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
openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=bigunet \\
    -keyout "$folder/key.pem" -out "$folder/cert.pem" 2>"$folder/openssl.log" ||
    { cat "$folder/openssl.log" >&2; exit 1; }
export DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION=True
export DASK_DISTRIBUTED__COMM__TLS__CA_FILE="$folder/cert.pem"
for role in SCHEDULER WORKER CLIENT; do
    export "DASK_DISTRIBUTED__COMM__TLS__${role}__CERT=$folder/cert.pem"
    export "DASK_DISTRIBUTED__COMM__TLS__${role}__KEY=$folder/key.pem"
done
"""

QUIET = "export DASK_LOGGING__DISTRIBUTED=warning"

SCHEDULER_READY = """\
scheduler=$!
until grep -qs address "$folder/scheduler.json"; do
    if ! kill -0 "$scheduler" 2>/dev/null; then
        echo "Dask's scheduler did not start, see $log" >&2
        exit 1
    fi
    sleep 0.2
done
"""

WORKER_READY = """\
# The command asks workers how large their GPUs are, before it plans.
if ! {python} -c 'import sys; from distributed import Client
Client(scheduler_file=sys.argv[1]).wait_for_workers(1, timeout=300)' \\
    "$folder/scheduler.json" >>"$log" 2>&1; then
    echo "no Dask worker came, see $log" >&2
    exit 1
fi
"""
