# SPDX-License-Identifier: GPL-3.0-or-later
"""A lathe that speaks OPC UA with the structure of OPC 40001-1 (Machinery) and OPC 40501-1 (MachineTool)."""
