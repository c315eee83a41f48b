# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 5: the order of a lab's epochs, what is known of its clocks, and the gaps that a record explains."""

from __future__ import annotations

from office.ledger.steps.step import Migration

LINEAGE = (
    Migration(
        5,
        "the order of epochs, anchors of clocks and explained gaps",
        (
            "alter table feed add column explained text not null default '[]'",
            "alter table feed add column anchor_boot_ns bigint",
            "alter table feed add column last_boot_ns bigint",
            """create table epoch_start (
                lab {text} not null,
                epoch {text} not null,
                seq bigint not null,
                install {text} not null,
                ordinal bigint not null,
                previous {text} not null,
                boot {text} not null,
                boot_ns bigint not null,
                received_ns bigint not null,
                primary key (lab, epoch, seq))""",
            """create table clock_anchor (
                lab {text} not null,
                epoch {text} not null,
                seq bigint not null,
                boot {text} not null,
                source {text} not null,
                at_us bigint not null,
                utc_us bigint not null,
                uncertainty_us bigint not null,
                received_ns bigint not null,
                primary key (lab, epoch, seq))""",
            "create index clock_anchor_boot on clock_anchor (lab, boot)",
            """create table clock_quality (
                lab {text} not null,
                epoch {text} not null,
                seq bigint not null,
                boot {text} not null,
                boot_ns bigint not null,
                quality {text} not null,
                primary key (lab, epoch, seq))""",
            "create index clock_quality_boot on clock_quality (lab, boot, boot_ns)",
            """create table stream_gap (
                lab {text} not null,
                by_epoch {text} not null,
                by_seq bigint not null,
                stream {text} not null,
                epoch {text} not null,
                first bigint not null,
                last bigint not null,
                reason {text} not null,
                received_ns bigint not null,
                primary key (lab, by_epoch, by_seq))""",
            "create index stream_gap_feed on stream_gap (lab, stream, epoch, first)",
            """create table doubt (
                lab {text} not null,
                kind {text} not null,
                mark {text} not null,
                text {text} not null,
                since_ns bigint not null,
                primary key (lab, kind, mark))""",
        ),
    ),
)
