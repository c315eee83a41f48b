#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs the tests in a crowd of three processes; what fails there is asked once more, alone. Many tests hold real
# processes to real deadlines (the guardian gives a stalled service 250 ms), and a crowded computer can keep a turn from
# anybody. Usage: tools/test.sh PYTHON [PYTEST ARGUMENT...]
set -eu
python="$1"
shift
few=4
failures=.pytest_cache/v/cache/lastfailed
rm -f "$failures"
# The order of files is that of tests/conftest.py.
"$python" -m pytest -n 3 --dist loadfile --no-loadscope-reorder "$@" && exit 0
code=$?
[ "$code" -eq 1 ] || exit "$code"
count=$("$python" -c 'import json, sys; print(len(json.load(open(sys.argv[1]))))' "$failures")
if [ "$count" -gt "$few" ]; then
    echo "$count tests failed: too many to blame the crowd."
    exit 1
fi
echo
echo "$count failed in the crowd and is asked again alone; what passes now is unsteady and wants mending:"
sed -n 's/^ *"\(.*\)": true.*/  \1/p' "$failures"
exec "$python" -m pytest --last-failed --last-failed-no-failures none "$@"
