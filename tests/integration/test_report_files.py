# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence report as a workbook and on paper, read back as an auditor would read it."""

import io
import re

import httpx
import openpyxl
import pytest
from pypdf import PdfReader

from office.api import create_app
from office.config import OfficeSettings
from office.ledger import audit
from office.reports import fonts
from tests.support.office import Sender, headcount, presence
from tests.support.reports import correction, season, visit
from wire.batch import WireEvent

pytest_plugins = ("tests.support.office_fixtures",)

EVIL = ("=1+1", "+1", "-2", "@SUM(A1)", "\t=1", "http://example.org", "{=1}", "<b>&\x0b</b>")


@pytest.fixture
async def filled(ledger):
    await ledger.record([*season(), presence(totals={"e1": {"people": 40, "corrected": 1, "sessions": 3}})])
    return ledger


async def ask(ledger, path, **settings):
    app = create_app(OfficeSettings(**settings), ledger, lambda: True, None)
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8090") as client:
        return await client.get(path)


def texts(answer):
    assert answer.status_code == 200, answer.text
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages]
    return pages, " ".join(" ".join(pages).split())


def sheets(answer):
    assert answer.status_code == 200, answer.text
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    return {sheet.title: [[cell.value for cell in row] for row in sheet.iter_rows()] for sheet in book}, book


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("lt", ("Įrodymų ataskaita", "39 iš 6 000 mokinių ir mokytojų", "Kaip patikrinti", "Žurnalo santrauka")),
        ("en", ("Evidence report", "39 of 6,000 pupils and teachers", "How to check", "Digest of the ledger")),
    ],
)
async def test_the_paper_names_figure_digest_and_audit(filled, lang, words):
    await filled.change(lambda database: audit.write(database, "ona", "account", None, "An account was made."))
    head = (await filled.read(audit.head)).hex()
    answer = await ask(filled, f"/api/report.pdf?lang={lang}")
    assert answer.headers["content-type"] == "application/pdf"
    assert re.fullmatch(r'attachment; filename="infomobil-.*\.pdf"', answer.headers["content-disposition"])
    pages, text = texts(answer)
    for word in words:
        assert word in text
    digest = (await ask(filled, "/api/digest")).json()["digest"]
    assert digest in text.replace(" ", "")
    assert head in text.replace(" ", "")
    assert all(digest[:16] in page for page in pages)
    assert "one was counted twice" in text
    assert "?" not in text


async def test_the_workbook_has_every_section_and_numbers_as_numbers(filled):
    found, _ = sheets(await ask(filled, "/api/report.xlsx?lang=en"))
    assert list(found) == [
        *("Indicators", "Where and who", "Before and after", "Machine hours", "Corrections", "Quality of the data"),
        *("How it was counted", "How to check"),
    ]
    assert ["Pupils and teachers reached", 39, 6000] in [row[:3] for row in found["Indicators"]]
    assert ["Kretingos r. sav.", 19, 3, 3, 30, 55, 2, 3] in [row[:8] for row in found["Where and who"]]
    (row,) = [row for row in found["Corrections"] if "one was counted twice" in row]
    assert row[5:9] == [20, -1, 19, "operator"]
    digest = (await ask(filled, "/api/digest")).json()["digest"]
    assert digest in " ".join(str(row[1]) for row in found["How to check"]).replace(" ", "")


async def test_a_period_is_said_and_kept_to(filled):
    found, _ = sheets(await ask(filled, "/api/report.xlsx?lang=en&from=2026-04-01&to=2026-04-30&lab=van-1"))
    rows = found["Where and who"]
    assert "Visits from 2026-04-01 to 2026-04-30, lab van-1 only" in [row[0] for row in rows]
    assert ["April 2026", 0, 1, 0, 30, 31, 1, 2] in [row[:8] for row in rows]
    assert not any("March" in str(row[0]) for row in rows)
    _, text = texts(await ask(filled, "/api/report.pdf?from=2026-04-01"))
    assert "Apsilankymai nuo 2026-04-01" in text


@pytest.mark.parametrize("evil", EVIL)
async def test_no_text_of_a_van_becomes_a_formula_or_a_link(ledger, evil):
    event = visit("v1", "2026-03-02", evil)
    event = WireEvent(event.type, {**event.body, "school": evil}, event.boot_ns, event.wall_ns)
    await ledger.record([Sender().batch(event, headcount("v1", 3), correction("v1", -1, evil))])
    _, book = sheets(await ask(ledger, "/api/report.xlsx"))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f" or cell.hyperlink is not None]
    assert sum(str(cell.value).strip() == evil.replace("\x0b", " ").strip() for cell in cells) >= 2
    texts(await ask(ledger, "/api/report.pdf"))


async def test_letters_that_the_typeface_has_not_do_not_stop_the_report(ledger):
    event = visit("v1", "2026-03-02", "Москва 🚀")
    await ledger.record([Sender().batch(event, headcount("v1", 3))])
    _, text = texts(await ask(ledger, "/api/report.pdf"))
    assert "?????? ?" in text


async def test_a_long_report_goes_over_many_pages(ledger):
    lab = Sender()
    events = [correction("v1", 1, f"reason {n}") for n in range(520)]
    await ledger.record([lab.batch(visit("v1", "2026-03-02"), headcount("v1", 3)), lab.batch(*events[:260])])
    await ledger.record([lab.batch(*events[260:])])
    pages, text = texts(await ask(ledger, "/api/report.pdf?lang=en"))
    assert len(pages) > 10
    assert "500 of 520 are shown." in text


async def test_an_empty_ledger_has_a_report(ledger):
    _, text = texts(await ask(ledger, "/api/report.pdf?lang=en"))
    assert "0 of 6,000" in text
    sheets(await ask(ledger, "/api/report.xlsx"))


async def test_without_the_typeface_it_says_so(filled, monkeypatch, tmp_path):
    monkeypatch.setattr(fonts, "PACKAGED", tmp_path)
    monkeypatch.setattr(fonts, "CHECKOUT", tmp_path)
    answer = await ask(filled, "/api/report.pdf")
    assert answer.status_code == 503
    assert "make web" in answer.json()["error"]["remedy"]


def test_the_packaged_typeface_comes_first(tmp_path, monkeypatch):
    for name in fonts.FILES:
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setattr(fonts, "PACKAGED", tmp_path)
    assert fonts.fonts_dir() == tmp_path


@pytest.mark.parametrize("query", ["lang=ru", "from=never", "lab=A B"])
async def test_what_cannot_be_asked_is_said(filled, query):
    assert (await ask(filled, f"/api/report.pdf?{query}")).status_code == 422
    assert (await ask(filled, f"/api/report.xlsx?{query}")).status_code == 422
