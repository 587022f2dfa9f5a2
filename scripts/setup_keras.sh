#!/usr/bin/env bash
# Makes .venv-keras, the environment with TensorFlow that `make weights` and one benchmark need.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/setup.sh" .venv-keras requirements-keras.txt "2.4 GB" 4096
