#!/bin/sh
# Installs iproute2, which makes network namespaces, on Debian and its kin.
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get install -y --no-install-recommends iproute2 ||
    { apt-get update && apt-get install -y --no-install-recommends iproute2; }
