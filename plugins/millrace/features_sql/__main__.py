"""Writes docs/features/<data set>.md for every data set of several tables."""

from __future__ import annotations

from pathlib import Path

from millrace.datasets import load_relational_specs
from millrace.features_sql import features_of, queries_of, sql_folder
from millrace.features_sql.document import document
from millrace.settings import PROJECT, Settings


def main() -> None:
    """Write one document a data set."""
    datasets = Settings.from_environment().datasets
    for spec in load_relational_specs(datasets)[0].values():
        queries = queries_of(spec, sql_folder(datasets, spec))
        path: Path = PROJECT / "docs" / "features" / f"{spec.name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document(spec, queries, features_of(spec, queries)), encoding="utf-8")
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
