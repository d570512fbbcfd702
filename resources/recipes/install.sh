#!/usr/bin/env bash
# Installs vLLM beside this file, in an environment of its own: on every node the same version.
# Needs Python 3.10 to 3.13 and NVIDIA's driver. Written by M1 Desk.
set -euo pipefail
cd -- "$(dirname -- "$0")"

"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --upgrade pip
venv/bin/pip install {{packages}}
venv/bin/python -c 'import importlib.metadata as m; print("vLLM", m.version("vllm"))'
