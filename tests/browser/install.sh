#!/usr/bin/env bash
# Install Chromium for the tests that look at pages, if it is missing and apt-get is there.
set -euo pipefail
if command -v chromium >/dev/null || command -v chromium-browser >/dev/null; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "Chromium is not installed, and only root with apt-get can install it: its tests are skipped" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
install="apt-get install -qq -y --no-install-recommends chromium"
$install >/dev/null || { apt-get update -qq && $install >/dev/null; }
