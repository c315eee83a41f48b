# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's HTTP contract: translate, call one service, translate back."""
