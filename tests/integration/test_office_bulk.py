# SPDX-License-Identifier: GPL-3.0-or-later
"""Many rows in a statement: facts go in as they came, and the number of statements does not grow with the facts."""

import pytest

from office.ledger import apply
from office.ledger.migrations import migrate
from office.ledger.opening import connect
from office.ledger.writer import record
from tests.support.office import NOW_NS, Sender, headcount, job, tap
from wire.batch import WireEvent

pytest_plugins = ("tests.support.office_fixtures",)

ODD = 'a\\b \\N \\. \t"quoted"\nnext\r ąžuolas \x7f {1,NULL}'


async def test_odd_characters_go_into_the_ledger_as_they_came(ledger):
    lab = Sender(stream="jobs")
    unknown = WireEvent("back\\slash {1}", {ODD: ODD}, 1, 2)
    await ledger.record([lab.batch(job("j1", "FAILED", reason=ODD), unknown)])
    ((reason,),) = await ledger.read(lambda found: found.query("select reason from job"))
    assert reason == ODD
    ((kind,),) = await ledger.read(lambda found: found.query("select type from event where seq = 2"))
    assert kind == "back\\slash {1}"
    assert (await ledger.check()).sentences() == []


async def test_of_a_batch_that_is_there_in_part_only_the_rest_goes_in(ledger):
    lab = Sender()
    events = [headcount("v1", n) for n in range(1, 6)]
    await ledger.record([Sender(next_seq=2).batch(*events[1:3])])
    done = await ledger.record([lab.batch(*events)])
    assert (done.new, done.acks[0][1].watermark) == (3, 5)
    found = await ledger.recount()
    assert (found.facts, found.differences) == (5, ())


@pytest.mark.parametrize("at_once", [7, apply.AT_ONCE])
async def test_figures_are_the_same_however_many_jobs_are_asked_for_at_once(ledger, monkeypatch, at_once):
    monkeypatch.setattr(apply, "AT_ONCE", at_once)
    shops = [Sender(name, stream="jobs") for name in ("van-1", "van-2")]
    for state in ("RUNNING", "FINISHED"):
        jobs = [job(f"j{n}", state, actual_s=n / 7) for n in range(30)]
        await ledger.record([shop.batch(*jobs) for shop in shops])
    lab = Sender()
    await ledger.record(
        [lab.batch(*(event for n in range(30) for event in (headcount(f"v{n}", n), tap(f"s{n}", f"v{n}"))))]
    )
    found = await ledger.recount()
    assert (found.facts, found.differences) == (180, ())
    tallies = await ledger.read(lambda asked: asked.query("select state, sum(jobs) from job_tally group by state"))
    assert {state: int(jobs) for state, jobs in tallies if jobs} == {"FINISHED": 60}


def test_statements_do_not_grow_with_the_facts(database_url, monkeypatch):
    opened = connect(database_url)
    migrate(opened)
    statements = []

    def counting(real):
        def counted(self, sql, parameters=()):
            statements.append(sql)
            return real(self, sql, parameters)

        return counted

    for name in ("query", "query_many"):
        monkeypatch.setattr(type(opened), name, counting(getattr(type(opened), name)))
    numbers = []
    for lab, n in (("van-1", 3), ("van-2", apply.AT_ONCE)):
        statements.clear()
        events = [job(f"j{i}", "RUNNING") for i in range(n)], [headcount(f"v{i}", 1) for i in range(n)]
        shop, visits = Sender(lab, stream="jobs"), Sender(lab)
        record(opened, [shop.batch(*events[0]), visits.batch(*events[1])], NOW_NS)
        numbers.append(len(statements))
    opened.close()
    assert numbers[0] == numbers[1]
