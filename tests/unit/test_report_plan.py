# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from office.errors import ConfigInvalid
from office.reports.plan import PACKAGED, load

GOOD = """
[[indicator]]
id = "people"
label = { lt = "Žmonės", en = "People" }
unit = "people"
counts = "reached"
target = 6000
due = 2027-06-30
[[indicator.milestone]]
date = 2026-06-30
target = 1000
[[indicator.milestone]]
date = 2026-12-31
target = 3000

[[indicator]]
id = "programmes"
label = { lt = "Programos", en = "Programmes" }
unit = "programmes"
counts = "stated"
[[indicator.stated]]
date = 2026-03-01
value = 1
source = "order no. 7"
"""


def write(tmp_path, text):
    path = tmp_path / "indicators.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_packaged_plan_is_the_pledge():
    plan = load(None).plan
    targets = {item.id: item.target for item in plan.indicator}
    assert targets == {
        "people": 6000,
        "vet_trainers": 50,
        "trainees": 100,
        "programmes": 1,
        "elearning": None,
        "schools": None,
        "pieces": None,
    }
    assert plan.target == 6000
    assert "[[indicator]]" in PACKAGED.read_text(encoding="utf-8")


def test_a_plan_is_known_by_the_digest_of_its_file(tmp_path):
    one, other = load(write(tmp_path, GOOD)), load(write(tmp_path, GOOD.replace("6000", "6001")))
    assert one.sha256 != other.sha256
    assert [item.target for item in one.plan.people.milestone] == [1000, 3000]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("target = 6000", "target = 0", 7, "indicator.0.target"),
        ("target = 6000", 'target = "many"', 7, "indicator.0.target"),
        ("target = 6000", "", 2, "has a day and no target"),
        ('counts = "reached"', 'counts = "pieces"', 1, 'counts = "reached" and a target'),
        ("target = 3000", "target = 900", 2, "do not rise"),
        ("target = 3000", "target = 7000", 2, "do not rise"),
        ("date = 2026-12-31", "date = 2026-06-30", 2, "do not rise"),
        ("date = 2026-12-31", "date = 2026-13-31", 13, "is not TOML"),
        ("date = 2026-12-31", 'date = "soon"', 13, "indicator.0.milestone.1.date"),
        ('lt = "Žmonės", ', "", 4, "indicator.0.label.lt is missing"),
        ("value = 1", "value = -1", 23, "indicator.1.stated.0.value"),
        ("value = 1", "valeu = 1", 21, "indicator.1.stated.0.value is missing"),
        ("value = 1", "value = 1\nby = 2", 24, "indicator.1.stated.0.by is not known here"),
        ('counts = "stated"', 'counts = "schools"', 16, "takes no statements"),
        ('counts = "stated"', 'counts = "people"', 16, "needs roles"),
        ('id = "programmes"', 'id = "people"', 1, "the same id"),
        ('id = "programmes"', 'id = "Programmes!"', 17, "indicator.1.id"),
        ('counts = "stated"', 'counts = "stated"\ndue = 2027-01-01', 16, "has a day and no target"),
        (
            'source = "order no. 7"',
            'source = "x"\n[[indicator.stated]]\ndate = 2026-01-01\nvalue = 1\nsource = "y"',
            16,
            "not in the order of their days",
        ),
    ],
)
def test_what_is_wrong_is_named_with_line_and_key(tmp_path, old, new, line, words):
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ConfigInvalid) as caught:
        load(path)
    if "is not TOML" not in words:
        assert f"{path}, line {line}: " in str(caught.value)
    assert words in str(caught.value)


def test_a_file_that_is_none_is_said(tmp_path):
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        load(tmp_path / "none.toml")
    path = tmp_path / "bytes.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigInvalid, match="is not UTF-8"):
        load(path)
