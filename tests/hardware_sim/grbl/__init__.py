# SPDX-License-Identifier: GPL-3.0-or-later
"""A GRBL 1.1h controller and its machine, simulated behind a real pseudo terminal.

Run it with ``python -m tests.hardware_sim.grbl --link PATH``. Production code does not know it. Behaviour is judged
against the recorded conversations in ``tests/data/grbl_traces``. One simulation is a discrete event run on a virtual
clock; the process keeps that clock at the wall clock times ``--speed``.
"""
