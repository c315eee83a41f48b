# SPDX-License-Identifier: GPL-3.0-or-later
"""Controls that speak OPC UA otherwise than umati: by OPC 40502, as a Sinumerik does, and by no standard at all."""
