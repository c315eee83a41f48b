# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operator's and the visitors' HTTP faces share: the form of refusals, limits, pages, the server."""
