# SPDX-License-Identifier: GPL-3.0-or-later
"""IM-1, the contract between a lab and the office: topics, batches and their codec. Imports neither side."""
