"""The command: where the spec is written, and that nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from millrace.dataset_draft.__main__ import main, usable_name
from millrace.datasets import load_spec
from tests.dataset_draft.sample import table, written


def test_writes_into_the_folder_of_the_specs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MILLRACE_DATASETS", str(tmp_path / "specs"))
    path = written(tmp_path, table(), "2024 Sales-EU.csv")
    assert main([str(path)]) == 0
    target = tmp_path / "specs" / "sales_eu.yaml"
    text = target.read_text(encoding="utf-8")
    assert load_spec(target).name == "sales_eu"
    columns = text.partition("\ncolumns:\n")[2].partition("\n\n")[0].splitlines()
    assert all("# guess:" in line for line in columns if line.startswith("  ") and line[2] != " ")
    shown = capsys.readouterr().out
    assert str(target) in shown
    assert "make up" in shown and "raw/sales_eu/" in shown
    assert "60 rows read, 60 clean" in shown
    assert [each.name for each in target.parent.iterdir()] == ["sales_eu.yaml"]


def test_never_replaces_a_spec_unless_forced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = written(tmp_path, table()), tmp_path / "mine.yaml"
    output.write_text("precious")
    assert main([str(path), "--output", str(output)]) == 1
    assert "--force" in capsys.readouterr().err
    assert output.read_text() == "precious"
    assert main([str(path), "--output", str(output), "--force"]) == 0
    assert load_spec(output).name == "mine"


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = written(tmp_path, table()), tmp_path / "out" / "mine.yaml"
    output.parent.mkdir()
    output.write_text("precious")

    def full_disk(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    assert main([str(path), "--output", str(output), "--force"]) == 1
    assert "No space" in capsys.readouterr().err
    assert [each.read_text() for each in output.parent.iterdir()] == ["precious"]


def test_standard_output_is_the_spec_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(written(tmp_path, table())), "--output", "-"]) == 0
    shown = capsys.readouterr()
    copy = tmp_path / "copy.yaml"
    copy.write_text(shown.out, encoding="utf-8")
    assert load_spec(copy).target.column == "churn"
    assert "Validated" in shown.err


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("WA_Fn-UseC_-Telco", "wa_fn_usec_telco"),
        ("2024 Sales", "sales"),
        ("ÄÖ", ""),
        ("x" * 50, "x" * 40),
    ],
)
def test_usable_names(stem: str, name: str) -> None:
    assert usable_name(stem) == name
