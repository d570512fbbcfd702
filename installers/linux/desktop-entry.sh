#!/usr/bin/env bash
# Puts this checkout into the applications menu of the user who runs it, or takes it out again.
#
#     installers/linux/desktop-entry.sh install|remove
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
folder="${XDG_DATA_HOME:-$HOME/.local/share}/applications"
entry="$folder/m1desk.desktop"

# A path as the argument of an Exec line: quoted, with the specification's escapes, the entry's own included.
exec_word() {
    printf '%s' "$1" | sed -e 's/[\\"`$]/\\&/g' -e 's/\\/\\\\/g' -e 's/%/%%/g' -e 's/^/"/' -e 's/$/"/'
}

replace() { # WORD BY: fills in one word of the entry on standard input
    WORD=$1 BY=$2 awk '{
        at = index($0, ENVIRON["WORD"])
        if (at) $0 = substr($0, 1, at - 1) ENVIRON["BY"] substr($0, at + length(ENVIRON["WORD"]))
        print
    }'
}

install_entry() {
    local icon="$root/resources/icons/m1desk.svg"
    [ -e "$icon" ] || icon=utilities-terminal
    if [ ! -x "$root/.venv/bin/python" ]; then
        echo "Run this first: python3 $root/start.py setup" >&2
        exit 1
    fi
    mkdir -p "$folder"
    replace @EXEC@ "$(exec_word "$root/.venv/bin/python") -m m1desk" <"$root/installers/linux/m1desk.desktop" |
        replace @ICON@ "$icon" >"$entry.new"
    mv "$entry.new" "$entry"
    refresh
    echo "M1 Desk is in the menu ($entry)."
}

remove_entry() {
    rm -f "$entry"
    refresh
    echo "M1 Desk is out of the menu."
}

refresh() {
    if command -v update-desktop-database >/dev/null; then
        update-desktop-database -q "$folder" || true
    fi
}

case "${1:-}" in
    install) install_entry ;;
    remove) remove_entry ;;
    *)
        echo "usage: $0 install|remove" >&2
        exit 2
        ;;
esac
