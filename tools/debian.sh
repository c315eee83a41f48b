#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: debian.sh PROGRAM=PACKAGE...   Installs the Debian packages of the programs that are missing, as root or by
# sudo. Where neither is possible it says so in one line and exits 3: who calls decides whether to go on.
set -eu
missing=
for pair in "$@"; do
    program=${pair%%=*}
    if ! PATH="$PATH:/usr/sbin:/sbin:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')" command -v "$program" >/dev/null 2>&1; then
        missing="$missing ${pair#*=}"
    fi
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then as_root=; elif sudo -n true 2>/dev/null; then as_root="sudo -n"; else
    echo "Missing:$missing. Install with: sudo apt-get install$missing" >&2
    exit 3
fi
command -v apt-get >/dev/null || { echo "Missing:$missing, and this is no Debian: install them by hand." >&2; exit 3; }
echo "Installing$missing from Debian ..."
# A broker or database that Debian starts by itself would take the well-known ports: the lab starts its own.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
$as_root apt-get update -qq
# shellcheck disable=SC2086
$as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
