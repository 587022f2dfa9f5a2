"""Requests: the identifier stands in the lake only, and goes with the person."""

from __future__ import annotations

import io
import json
import logging
import stat

import pytest

from millrace.privacy import requests
from millrace.privacy.__main__ import main
from millrace.privacy.key import installation_key
from millrace.privacy.requests import add_request, erase_requested, open_requests
from millrace.privacy.subject import ErasureError, Subject, canonical
from millrace.settings import Settings, SettingsError
from tests.privacy.loans import KEY, borrower, deliver, loan_spec, traces

SPECS = {"loan_default": loan_spec()}


def test_a_request_is_fulfilled_and_removed(store, caplog):
    deliver(store, "2026-03-01")
    first, second = (add_request(store, loan_spec(), borrower(n)) for n in (3, 4))
    masked = []
    with caplog.at_level(logging.DEBUG):
        [proof] = erase_requested(store, SPECS, KEY, request=first, mask=masked.append)
    assert masked == [borrower(3)]
    assert open_requests(store, "loan_default") == [second]
    assert traces(store, borrower(3)) == []
    assert len(erase_requested(store, SPECS, KEY)) == 1
    assert traces(store, borrower(4)) == []
    assert erase_requested(store, SPECS, KEY) == []
    assert "MARKED" not in caplog.text + proof + first
    with pytest.raises(ErasureError, match=f"no request '{first}'"):
        erase_requested(store, SPECS, KEY, request=first)


def test_a_request_stays_until_it_is_fulfilled(store, monkeypatch):
    deliver(store, "2026-03-01")
    name = add_request(store, loan_spec(), borrower(3))

    def fail(*_):
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(requests, "erase", fail)
        with pytest.raises(ConnectionError):
            erase_requested(store, SPECS, KEY)
    assert open_requests(store, "loan_default") == [name]


def test_a_name_that_may_be_a_persons_is_refused_and_not_repeated(store):
    store.replace(f"requests/loan_default/{borrower(3)}", b"x", None)
    with pytest.raises(ErasureError, match=r"1 files in .* have names") as found:
        erase_requested(store, SPECS, KEY)
    assert borrower(3) not in str(found.value)


@pytest.mark.parametrize("content", [b"", b"one\ntwo\n", b"x" * 1001])
def test_a_request_names_one_person(store, content):
    store.replace("requests/loan_default/request-1", content, None)
    with pytest.raises(ErasureError, match="no single line of text"):
        erase_requested(store, SPECS, KEY)


def test_the_command_takes_the_identifier_from_its_input(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))
    monkeypatch.delenv("MILLRACE_LAKE", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{borrower(8)}\n"))
    assert main(["request", "loan_default"]) == 0
    name = capsys.readouterr().out.strip()
    assert (tmp_path / "lake/requests/loan_default" / name).read_text() == borrower(8)
    assert main(["request", "nothing"]) == 1
    assert "no data set 'nothing'" in capsys.readouterr().err


def test_a_subject_does_not_tell_its_name():
    subject = Subject.of(loan_spec(), borrower(1), KEY)
    assert borrower(1) not in f"{subject} {subject!r} {json.dumps(subject.pseudonym)}"
    assert Subject.of(loan_spec(), borrower(2), KEY).pseudonym != subject.pseudonym


@pytest.mark.parametrize(
    ("written", "meant"),
    [(" 100001 ", "100001"), ("0100001", "100001"), ("100001.0", "100001"), ("+7", "7"),
     ("-0", "0"), ("7590-VHVEG", "7590-VHVEG"), ("1.5", "1.5"), ("\ufeffA1", "A1")],
)  # fmt: skip
def test_identifiers_are_compared_as_typed_tables_hold_them(written, meant):
    assert canonical(written) == meant


def test_a_local_lake_has_its_own_key(tmp_path, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_MILLRACE_PRIVACY", raising=False)
    settings = Settings.from_environment({"MILLRACE_HOME": str(tmp_path)})
    key = installation_key(settings)
    assert len(key) == 64 and installation_key(settings) == key
    assert stat.S_IMODE((tmp_path / "privacy.key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["privacy.key"]


def test_the_connection_gives_the_key(tmp_path, monkeypatch):
    settings = Settings.from_environment(
        {"MILLRACE_HOME": str(tmp_path), "MILLRACE_LAKE": "s3://lake/x"}
    )
    secret = "0123456789abcdef"
    monkeypatch.setenv(
        "AIRFLOW_CONN_MILLRACE_PRIVACY", json.dumps({"conn_type": "generic", "password": secret})
    )
    assert installation_key(settings) == secret.encode()
    monkeypatch.setenv(
        "AIRFLOW_CONN_MILLRACE_PRIVACY", json.dumps({"conn_type": "generic", "password": "short"})
    )
    with pytest.raises(SettingsError, match="no password of at least 16 characters"):
        installation_key(settings)
    monkeypatch.delenv("AIRFLOW_CONN_MILLRACE_PRIVACY")
    with pytest.raises(SettingsError, match="no password of at least 16 characters"):
        installation_key(settings)
