# SPDX-License-Identifier: GPL-3.0-or-later
"""The van's own OPC UA server: each machine of the lab as a machine tool of OPC 40501-1, to be read only."""
