# SPDX-License-Identifier: GPL-3.0-or-later
"""`/metrics` for Prometheus: every figure is read when it is asked for, so that nothing here can go stale."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import Response

from office.errors import LedgerUnavailable
from office.facts import IngestFigures
from office.ledger import Ledger
from office.ledger.health import Health, health


class _Found(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"infomobil_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"infomobil_{name}", text, value=value)


def _ingest(figures: IngestFigures, *, connected: bool) -> Iterable[Metric]:
    yield _gauge("broker_up", "Whether the broker's messages reach the office.", connected)
    yield _gauge("ingest_workers", "Workers that take in what the vans send and are up.", figures.workers)
    yield _counter("ingest_messages", "Messages that came from the broker since the start.", figures.received)
    yield _counter("ingest_facts", "Facts that were new, since the start.", figures.new)
    yield _counter("ingest_duplicate_batches", "Batches that were in the ledger already.", figures.duplicates)
    yield _counter("ingest_rejected", "Payloads that were set aside, since the start.", figures.rejected)
    yield _counter("ingest_dropped", "Messages left for the lab to send again, the queue being full.", figures.dropped)
    yield _counter("ingest_restarts", "Workers that ended and were started again.", figures.restarts)


def _ledger(found: Health) -> Iterable[Metric]:
    yield _gauge("people_reached", "People counted, as the vans say or as the ledger holds.", found.totals.reached)
    yield _gauge("people_in_ledger", "People counted in the facts of the ledger.", found.totals.ledger)
    yield _gauge("kiosk_sessions", "Sessions at the kiosks.", found.totals.sessions)
    online = GaugeMetricFamily("infomobil_lab_online", "Whether the lab says it is online.", labels=["lab"])
    seen = GaugeMetricFamily("infomobil_lab_seen_timestamp_seconds", "When the lab was heard last.", labels=["lab"])
    waiting = GaugeMetricFamily("infomobil_lab_waiting_facts", "Facts the lab holds for the office.", labels=["lab"])
    for pulse in found.labs:
        online.add_metric([pulse.lab], pulse.state == "online")
        seen.add_metric([pulse.lab], pulse.seen_ns / 1e9)
        waiting.add_metric([pulse.lab], pulse.waiting)
    yield from (online, seen, waiting)
    yield _counter("quarantined", "Payloads that were ever set aside.", found.quarantined)
    yield _gauge("quarantine_unseen", "Payloads set aside at which nobody has looked.", found.unseen)
    yield _gauge("chain_alarms", "Batches that do not fit together.", found.alarms)
    yield _gauge("invalid_facts", "Facts that are not what their type promises.", found.invalid)
    doubts = GaugeMetricFamily("infomobil_doubts", "Doubts about labs, by kind.", labels=["kind"])
    for kind, number in found.doubts.items():
        doubts.add_metric([kind], number)
    yield doubts
    if found.checked is not None:
        yield _gauge("check_timestamp_seconds", "When everything was checked last.", found.checked.at_ns / 1e9)
        yield _gauge("check_duration_seconds", "How long the last check took.", found.checked.took_ms / 1e3)
        yield _gauge("check_facts", "Facts that were counted again by the last check.", found.checked.facts)
        yield _gauge("check_differences", "Figures that the last check counted otherwise.", found.checked.differences)
        yield _gauge("check_broken_links", "Batches and audit rows that do not fit.", found.checked.broken)


def add_metrics(
    app: FastAPI, ledger: Ledger, broker_connected: Callable[[], bool], ingest: Callable[[], IngestFigures]
) -> None:
    """Add the call to `app`."""

    @app.get("/metrics", summary="Figures for a monitor", tags=["service"], response_class=Response)
    async def metrics() -> Response:
        begin = time.monotonic()
        found = [*_ingest(ingest(), connected=broker_connected())]
        try:
            found += _ledger(await ledger.read(health))
        except LedgerUnavailable:
            found.append(_gauge("ledger_up", "Whether the ledger answers.", 0))
        else:
            found.append(_gauge("ledger_up", "Whether the ledger answers.", 1))
        found.append(_gauge("metrics_seconds", "How long it took to gather this.", time.monotonic() - begin))
        registry = CollectorRegistry()
        registry.register(_Found(found))
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
