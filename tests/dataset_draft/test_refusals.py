"""Files that no spec can be drafted from: one clear error, and nothing written."""

from __future__ import annotations

import codecs
import gzip
import re
from pathlib import Path

import pytest

from millrace.dataset_draft.__main__ import main
from tests.dataset_draft.sample import table, written


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, (), "found no such file"),
        (b"", (), "the file is empty"),
        (b"  \n\n", (), "nothing but blanks"),
        (b"churn\nyes\nno\n", (), "found one column"),
        (b"a,churn\n", (), "no data rows"),
        (b"1,2,0\n3,4,1\n", (), "holds no names"),
        (b"a,a,churn\n1,2,yes\n3,4,no\n", (), r"\['a'\] more than once"),
        (b"_row,a,churn\n1,2,yes\n3,4,no\n", (), "names that are in use"),
        (b"sep=;\na;churn\n1;yes\n2;no\n", (), "'sep=;'"),
        (b"Report, 2024\na,b,churn\n1,2,yes\n2,3,no\n", (), "lines above the header"),
        (b"a,churn\n1,x\n2,y\n3,z\n", (), "named like a target, but holds 3 values"),
        (b"a,b\n1,x\n2,y\n3,z\n", (), "pass --target"),
        (b"a,b,c\n1,x,0\n2,y,1\n3,z,1\n", ("--target", "b"), "3 values: 'x'"),
        (b"a,b,c\n1,x,0\n2,y,1\n3,z,1\n", ("--target", "d"), "no such column.*'a', 'b', 'c'"),
        (b"a,churn\nsame,yes\nsame,no\nsame,no\n", (), "no column is fit to be a feature"),
        (b'a,churn\n1,yes\n"2,no\n3,no\n4,yes\n', (), "quote"),
        (gzip.compress(b"a,churn\n1,yes\n2,no\n", mtime=0), (), "gzip file; unpack"),
        (b"PK\x03\x04" + bytes(range(256)), (), "Excel workbook or a zip"),
        (bytes(range(256)) * 40, (), "binary file"),
        (codecs.BOM_UTF16_LE + b"a\x00,\x00b", (), "binary file"),
        (b"a,churn\n1,yes\n2,no\n", ("--name", "My Data"), "'My Data' cannot be used"),
    ],
)  # fmt: skip
def test_says_what_is_wrong_and_writes_nothing(
    content: bytes | None,
    options: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MILLRACE_DATASETS", str(tmp_path / "specs"))
    path = tmp_path / "sample.csv"
    if content is not None:
        path.write_bytes(content)
    assert main([str(path), *options]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert re.search(message, error), error
    assert not (tmp_path / "specs").exists()


def test_a_file_name_that_gives_no_name_asks_for_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(written(tmp_path, table(), "2024.csv"))]) == 1
    assert "pass --name" in capsys.readouterr().err
