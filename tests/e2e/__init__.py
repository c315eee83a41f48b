# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole laboratory, driven as people drive it."""
