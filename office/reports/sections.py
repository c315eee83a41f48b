# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence in a language: sections of sentences and tables, the same for a workbook and for paper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from office.reports.evidence import Evidence
from office.reports.figures import ROLES
from office.reports.texts import CHECK, METHOD, TEXTS
from office.reports.times import iso
from office.reports.words import ROLES as ROLE_WORDS
from office.reports.words import Language

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header. widths are shares of the page; a column whose cells are numbers stands to the right."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    widths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report: name of its sheet, heading, sentences, (heading, sentence) pairs, and tables."""

    name: str
    title: str
    sentences: tuple[str, ...] = ()
    paragraphs: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True)
class Voice:
    """Says texts, numbers and spans in one language."""

    language: Language

    def text(self, name: str, **values: object) -> str:
        """Return the text `name` with `values` in it."""
        return TEXTS[name][self.language].format(**values)

    def number(self, value: float | None, digits: int = 0) -> str:
        """Return a number as people of the language write it, a dash for none."""
        if value is None:
            return "–"
        plain = f"{value:,.{digits}f}"
        return plain if self.language == "en" else plain.replace(",", "\u00a0").replace(".", ",")

    def span(self, band: dict[str, Any] | None) -> str:
        """Return low, mid and high as one text."""
        return "–" if band is None else f"{band['mid']} ({band['low']} – {band['high']})"


def sections(evidence: Evidence, language: Language) -> list[Section]:
    """Return all of `evidence` in `language`, in the order of the report."""
    voice = Voice(language)
    makers: tuple[Callable[[Evidence, Voice], Section], ...] = (
        *(_indicators, _breakdowns, _interest, _hours, _corrections, _quality, _method, _check),
    )
    return [make(evidence, voice) for make in makers]


def period(evidence: Evidence, voice: Voice) -> str:
    """Return which visits the breakdowns are of."""
    asked = evidence.period
    name = {(False, False): "all_time", (True, True): "between", (True, False): "since", (False, True): "until"}
    days = voice.text(name[asked.first is not None, asked.last is not None], first=asked.first, last=asked.last)
    return days if asked.lab is None else f"{days}, {voice.text('of_lab', lab=asked.lab)}"


def _indicators(evidence: Evidence, voice: Voice) -> Section:
    t, rows, milestones = voice.text, list[tuple[Cell, ...]](), list[tuple[Cell, ...]]()
    for item in evidence.indicators:
        label, target = item["label"][voice.language], item["target"]
        share = None if target is None else f"{voice.number(100 * item['value'] / target)} %"
        known = t(("stated" if item["history"] else "not_stated") if item["counts"] == "stated" else "counted")
        rows.append((label, item["value"], target, share, item["due"], voice.span(item["forecast"]), known))
        for one in item["milestones"]:
            met = t({True: "yes", False: "no", None: "open"}[one["met"]])
            milestones.append((label, one["date"], one["target"], one["value"], met))
    said = [
        (item.label.model_dump()[voice.language], one.date.isoformat(), one.value, one.source)
        for item in evidence.pledged.plan.indicator
        for one in item.stated
    ]
    header = _header(voice, "indicator", "value", "target", "share", "due", "forecast", "known_by")
    tables = [Table("", header, tuple(rows), (30, 12, 12, 10, 16, 40, 18))]
    if milestones:
        header = _header(voice, "indicator", "date", "target", "then", "met")
        tables.append(Table(t("milestones"), header, tuple(milestones), (40, 16, 14, 14, 16)))
    if said:
        header = _header(voice, "indicator", "date", "value", "source")
        tables.append(Table(t("statements"), header, tuple(said), (34, 16, 12, 44)))
    return Section("indicators", t("indicators"), tables=tuple(tables))


def _breakdowns(evidence: Evidence, voice: Voice) -> Section:
    tables = []
    for by, found in evidence.breakdowns.items():
        columns = ("total", "visits") if by == "role" else (*ROLES, "total", "visits", "sessions")
        names = [ROLE_WORDS[name][voice.language] if name in ROLES else voice.text(name) for name in columns]
        rows = []
        for row in found["rows"]:
            values = {**row["people"], **{name: row[name] for name in ("total", "visits", "sessions")}}
            rows.append((row["label"][voice.language], *(values[name] for name in columns)))
        widths = (30, *(14 for _ in columns))
        tables.append(Table(voice.text(by), (voice.text(by), *names), tuple(rows), widths))
    return Section("breakdowns", voice.text("breakdowns"), (period(evidence, voice),), tables=tuple(tables))


def _interest(evidence: Evidence, voice: Voice) -> Section:
    t, rows = voice.text, list[tuple[Cell, ...]]()
    for row in evidence.interest["rows"]:
        names = (t(f"q_{row['question']}"), t(f"b_{row['band']}"))
        if row["hidden"]:
            rows.append((*names, None, None, None, None, t("hidden")))
            continue
        low, high = (voice.number(end, 2) for end in row["interval"])
        means = (row[name] for name in ("pairs", "before", "after", "difference"))
        rows.append((*names, *means, f"{low} … {high}"))
    header = ("question", "band", "pairs", "before", "after", "difference", "interval")
    table = Table("", _header(voice, *header), tuple(rows), (26, 22, 10, 12, 12, 14, 24))
    note = t("interest_note", smallest=evidence.interest["smallest"])
    return Section("interest", t("interest"), (period(evidence, voice), note), tables=(table,))


def _hours(evidence: Evidence, voice: Voice) -> Section:
    rows = tuple(
        (
            *(row["lab"], row["machine"], row["jobs"].get("FINISHED", 0)),
            *(sum(n for state, n in row["jobs"].items() if state != "FINISHED"), row["hours"], row["parts"]),
        )
        for row in evidence.hours["rows"]
    )
    header = _header(voice, "lab", "machine", "finished", "other_jobs", "hours_done", "parts")
    table = Table("", header, rows, (20, 24, 16, 16, 14, 20))
    return Section("hours", voice.text("hours"), (period(evidence, voice),), tables=(table,))


def _corrections(evidence: Evidence, voice: Voice) -> Section:
    t, notes = voice.text, [period(evidence, voice), voice.text("corrections_note")]
    if evidence.corrections_total > len(evidence.corrections):
        notes.append(t("more", shown=len(evidence.corrections), total=evidence.corrections_total))
    rows = tuple(
        (
            *(row.date, row.lab, row.school, row.group, ROLE_WORDS[row.role][voice.language]),
            *(row.first, row.people, row.corrected, t(f"by_{row.by or 'operator'}"), row.reason),
        )
        for row in evidence.corrections
    )
    names = ("date", "lab", "school", "group", "role", "first", "change", "now", "by", "reason")
    widths = (17, 18, 26, 10, 18, 11, 13, 11, 16, 30)
    return Section(
        "corrections", t("corrections"), tuple(notes), tables=(Table("", _header(voice, *names), rows, widths),)
    )


def _quality(evidence: Evidence, voice: Voice) -> Section:
    t, found = voice.text, evidence.quality
    recount = found["recount"]
    rows = (
        (t("q_events"), evidence.seal.events),
        (t("q_missing"), found["missing"]),
        (t("q_explained"), found["explained"]),
        (t("q_duplicates"), found["duplicates"]),
        (t("q_invalid"), found["invalid"]),
        (t("q_quarantined"), found["quarantined"]),
        (t("q_alarms"), found["chain_alarms"]),
        (t("q_doubts"), found["doubts"]),
        (t("q_corrections"), found["corrections"]),
        (t("q_no_recount"), None) if recount is None else (t("q_recount", at=recount["at"]), recount["differences"]),
    )
    unsynced = tuple((row["lab"], row["waiting"], row["since"]) for row in found["unsynced"])
    gaps = tuple(
        (
            *(gap["lab"], gap["stream"], gap["epoch"], gap["first"], gap["last"]),
            t(f"why_{gap.get('explained', 'missing')}"),
        )
        for gap in evidence.gaps
    )
    doubts = tuple((lab, doubt.kind, doubt.text, iso(doubt.since_ns)) for lab, doubt in evidence.doubts)
    tables = (
        Table("", _header(voice, "what", "number"), rows, (80, 20)),
        Table(t("unsynced"), _header(voice, "lab", "waiting", "last_heard"), unsynced, (40, 30, 40)),
        Table(t("gaps"), _header(voice, "lab", "stream", "epoch", "from", "to", "why"), gaps, (16, 14, 34, 12, 12, 24)),
        Table(t("doubts"), _header(voice, "lab", "kind", "text", "date"), doubts, (16, 14, 54, 26)),
    )
    return Section("quality", t("quality"), tables=tables)


def _method(_evidence: Evidence, voice: Voice) -> Section:
    return Section("method", voice.text("method"), paragraphs=METHOD[voice.language])


def _check(evidence: Evidence, voice: Voice) -> Section:
    t, seal = voice.text, evidence.seal
    rows: tuple[tuple[Cell, ...], ...] = (
        (t("digest"), grouped(seal.digest.hex())),
        (t("events"), seal.events),
        (t("people"), seal.people),
        (t("audit_head"), grouped(evidence.audit_head.hex())),
        (t("audit_rows"), evidence.audit_rows),
        (t("plan"), grouped(evidence.pledged.sha256)),
        (t("software"), f"InfoMobil {version('infomobil')}"),
        (t("sealed"), iso(seal.at_ns)),
    )
    table = Table("", _header(voice, "what", "said"), rows, (30, 90))
    return Section("check", t("check"), CHECK[voice.language], tables=(table,))


def grouped(digits: str) -> str:
    """Return hex digits in groups of eight, as a person reads them out."""
    return " ".join(digits[i : i + 8] for i in range(0, len(digits), 8))


def _header(voice: Voice, *names: str) -> tuple[str, ...]:
    return tuple(voice.text(name) for name in names)
