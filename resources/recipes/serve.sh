#!/usr/bin/env bash
# Runs {{about}} on this node until Ctrl+C or SIGTERM. Written by M1 Desk.
# Usage: ./serve.sh{{usage}}
# shellcheck disable=SC2009,SC2329 # pgrep counts zombies; these functions run in a trap
set -euo pipefail
cd -- "$(dirname -- "$0")"

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

load_keys() { # what is in the environment already is used as it is
    if [ -z "${VLLM_API_KEY:-}" ]; then
        [ -f keys.env ] || fail "keys.env is missing. ./new-keys.sh makes it."
        [ "$(stat -c %a keys.env)" = 600 ] || fail "Others can read keys.env: chmod 600 keys.env"
        set -a
        # shellcheck source=/dev/null
        . ./keys.env
        set +a
    fi
    [ -n "${VLLM_API_KEY:-}" ] || fail "keys.env names no VLLM_API_KEY."
    export VLLM_API_KEY
}
{{node}}
# what install.sh put here comes first
if [ -d venv/bin ]; then
    PATH="$PWD/venv/bin:$PATH"
fi
{{environment}}

engine=(
{{engine}}
)

# vLLM answers SIGTERM while it starts by never ending, and in mid-stream now and then. Killed
# alone it leaves its workers behind. So each program gets a session of its own, SIGTERM, five
# seconds, and then SIGKILL for all of the session.
started=$(mktemp)
sessions=()

start() {
    setsid -- "$@" &
    sessions+=("$!")
}

running() { # does anything but zombies live in this session?
    ps -o stat= --sid "$1" | grep -qv '^Z'
}

stop() {
    trap '' HUP INT TERM
    local number session
    for ((number = ${#sessions[@]} - 1; number >= 0; number--)); do
        session=${sessions[number]}
        kill -TERM "$session" 2>/dev/null || true
        for _ in {1..50}; do
            running "$session" || break
            sleep 0.1
        done
        pkill -KILL --session "$session" || true
    done
    sweep
}

sweep() { # segments of shared memory that were made since the start and that nobody uses
    local segment
    find /dev/shm -maxdepth 1 -name 'psm_*' -user "$(id -un)" -newer "$started" -print0 |
        while IFS= read -r -d '' segment; do
            grep -qsF -- "$segment" /proc/[0-9]*/maps || rm -f -- "$segment"
        done
    rm -f -- "$started"
}

trap stop EXIT
trap 'exit 143' HUP INT TERM

{{start}}
status=0
wait -n "${sessions[@]}" || status=$?
exit "$status"
