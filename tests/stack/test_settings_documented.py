""".env.example and the code name the same variables."""

from __future__ import annotations

import re

from millrace.settings import PROJECT

# Passed between the stack and its own processes; nobody sets them.
INTERNAL = {
    "MILLRACE_BIN", "MILLRACE_OWN_MLFLOW", "MILLRACE_SERVICE_PATH", "MILLRACE_SUPERVISED",
}  # fmt: skip


def variables_of_the_code() -> set[str]:
    folders = [PROJECT / folder for folder in ("plugins", "dags", "include", "bench")]
    code = [file.read_text() for folder in folders for file in folder.rglob("*.py")]
    return {name for text in code for name in re.findall(r"[\"'](MILLRACE_[A-Z_]+)[\"']", text)}


def documented() -> dict[str, bool]:
    """Every variable of .env.example, and whether a comment stands above its group."""
    found, explained = {}, False
    for line in (PROJECT / ".env.example").read_text().splitlines():
        if assignment := re.match(r"#?([A-Z][A-Z0-9_]*)=", line):
            found[assignment[1]] = explained
        else:
            explained = line.startswith("# ")
    return found


def test_every_variable_the_code_reads_is_documented() -> None:
    assert variables_of_the_code() - INTERNAL - documented().keys() == set()


def test_no_documented_variable_of_the_project_is_unknown_to_the_code() -> None:
    assert {n for n in documented() if n.startswith("MILLRACE_")} - variables_of_the_code() == set()


def test_every_documented_variable_has_its_reason() -> None:
    assert [name for name, explained in documented().items() if not explained] == []
