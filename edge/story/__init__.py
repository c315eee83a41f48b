# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recording of the black box holds, and the story that it tells. Pure: bytes and text in, text out."""
