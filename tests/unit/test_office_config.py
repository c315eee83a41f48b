# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from office.config import load
from office.errors import ConfigInvalid

GOOD = """
database = "sqlite:///data/office.sqlite3"
indicators = "pledge.toml"

[broker]
host = "mqtt.example.lt"
port = 8883
tls = true
password_file = "secret"

[http]
metrics_token_file = "/etc/office/token"
"""


def write(tmp_path, text):
    path = tmp_path / "office.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file_is_read_and_paths_are_taken_from_its_folder(tmp_path):
    settings = load(write(tmp_path, GOOD))
    assert settings.database == f"sqlite:///{tmp_path}/data/office.sqlite3"
    assert settings.broker.password_file == tmp_path / "secret"
    assert str(settings.http.metrics_token_file) == "/etc/office/token"
    assert settings.indicators == tmp_path / "pledge.toml"


def test_an_empty_file_is_the_default_office_on_loopback(tmp_path):
    settings = load(write(tmp_path, ""))
    assert (settings.http.host, settings.http.port, settings.http.loopback) == ("127.0.0.1", 8090, True)
    assert settings.indicators is None
    assert settings.database == f"sqlite:///{tmp_path}/office.sqlite3"


def test_a_server_url_stays_as_it_is(tmp_path):
    url = "postgresql://office@db.example.lt/office"
    assert load(write(tmp_path, f'database = "{url}"')).database == url


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("tls = true", "tsl = true", 8, "broker.tsl is not a setting"),
        ("port = 8883", 'port = "many"', 7, "broker.port"),
        ("port = 8883", "port = 70000", 7, "broker.port"),
        ('database = "sqlite:///data/office.sqlite3"', 'database = "mysql://x"', 2, "database: a database is sqlite"),
        ("[http]", "[htpp]", 11, "htpp is not a setting"),
        ("metrics_token_file", "password_file", 12, "http.password_file was replaced by accounts"),
        ("[http]", "[pledge]\npeople = 500\n[http]", 11, "pledge is now a file of its own"),
    ],
)
def test_what_is_wrong_is_named_with_line_and_key(tmp_path, old, new, line, words):
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ConfigInvalid) as caught:
        load(path)
    assert f"{path}, line {line}: " in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "words"), [(b"[broker", "is not TOML"), (b"\xff\xfe", "is not UTF-8"), (None, "cannot be read")]
)
def test_what_is_no_file_of_ours_is_said(tmp_path, raw, words):
    path = tmp_path / "office.toml"
    if raw is not None:
        path.write_bytes(raw)
    with pytest.raises(ConfigInvalid, match=words):
        load(path)
