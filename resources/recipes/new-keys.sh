#!/usr/bin/env bash
# Makes keys.env with new random keys, readable by you alone. Written by M1 Desk.
set -euo pipefail
cd -- "$(dirname -- "$0")"
umask 077

random() {
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

if [ -e keys.env ]; then
    echo "keys.env exists. Delete it first if its keys are to end." >&2
    exit 1
fi
set -o noclobber
{
{{lines}}
} >keys.env
echo "keys.env is made. M1 Desk asks for the key that follows VLLM_API_KEY= in it."
