#!/usr/bin/env bash
# Installs Chromium for the tests that open pages (pytest -m browser), where there is none.
set -euo pipefail

if command -v chromium >/dev/null; then
    exit 0
fi
if ! command -v apt-get >/dev/null || ((EUID != 0)); then
    echo "no Chromium; install it: sudo apt-get install chromium (Debian)" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >&2
apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >&2
