#!/usr/bin/env bash
# Install Slurm and munge for the tests if they are missing and apt-get is there; start nothing.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"
programs="munged slurmctld slurmd sbatch"
# shellcheck disable=SC2086
if command -v $programs >/dev/null && [ "$(command -v $programs | wc -l)" -eq 4 ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "Slurm is not installed, and only root with apt-get can install it: its tests are skipped" >&2
    exit 1
fi
# With RUNLEVEL=1, packages start no services.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
install="apt-get install -qq -y --no-install-recommends slurm-wlm munge"
$install >/dev/null || { apt-get update -qq && $install >/dev/null; }
