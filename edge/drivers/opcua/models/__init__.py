# SPDX-License-Identifier: GPL-3.0-or-later
"""Information models: which node means what."""
