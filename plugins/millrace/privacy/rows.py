"""Which rows of which file are a subject's: the tables of a data set, and what steps made of them.

Rows of other tables are found through `references`: those of a table that belongs to another by
its key go where the rows of that other table go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from millrace.datasets import ROW_ID, AnySpec, DatasetSpec, RelationalSpec
from millrace.lake import Place, Published, Store, matches, read_published
from millrace.privacy import parquet, records
from millrace.privacy.records import Marked
from millrace.privacy.subject import Doom, Subject, canonical, doom_of_rows
from millrace.relational.files import published_file

WITHOUT_HEADER = ("test/test.csv", "predictions.csv")
TRAIN, LABELS = "train/train.csv", "test/labels.csv"

EXPLANATION = "explanation"  # the report that has single rows in it


@dataclass
class Rows:
    """The rows of one subject in one partition.

    Attributes:
        tables: what is doomed in each table of a relational spec, those farthest from the subject
            first: while a table stands, the tables that refer to it can still be searched.
    """

    store: Store
    spec: DatasetSpec | RelationalSpec
    partition: str
    subject: Subject
    tables: dict[str, Doom] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store, spec: AnySpec, partition: str, subject: Subject) -> Rows:
        """Find the keys by which a partition's tables refer to the subject."""
        assert isinstance(spec, DatasetSpec | RelationalSpec)  # noqa: S101 (a Subject was made)
        rows = cls(store, spec, partition, subject)
        if isinstance(spec, RelationalSpec):
            rows.tables = rows._doomed_tables(spec)
        return rows

    @property
    def doom(self) -> Doom:
        """What is doomed in files of one row a subject."""
        return doom_of_rows(self.spec, self.subject)

    def table_of(self, name: str) -> str | None:
        """The table that a raw file belongs to, None where it is of no table."""
        if not isinstance(self.spec, RelationalSpec):
            return None
        tables = self.spec.tables
        return next((key for key, table in tables.items() if matches(name, table.files)), None)

    def raw_doom(self, name: str) -> Doom | None:
        """What is doomed in a raw file, None where it is no data file of the spec."""
        if isinstance(self.spec, RelationalSpec):
            table = self.table_of(name)
            return self.tables[table] if table else None
        return self.doom if matches(name, self.spec.raw.files) else None

    def _doomed_tables(self, spec: RelationalSpec) -> dict[str, Doom]:
        referred = {other for table in spec.tables.values() for other in table.references.values()}
        near = sorted(
            spec.tables, key=lambda name: (len(spec.path_to_entity(name)), name not in referred)
        )
        place = Place("processed", spec.name, self.partition, "tables")
        published = read_published(self.store, place)
        keys = {spec.entity: frozenset({self.subject.identifier})}

        def doom_of(name: str) -> Doom:
            table = spec.tables[name]
            own = {spec.id_column: keys[name]} if name == spec.entity else {}
            refers = {
                column: keys[other] for column, other in table.references.items() if other in keys
            }
            return own | refers

        for name in near:
            if name in referred and name != spec.entity:
                keys[name] = self._keys(name, spec.tables[name].key[0], doom_of(name), published)
        return {name: doom_of(name) for name in reversed(near)}

    def _keys(
        self, table: str, key: str, doom: Doom, published: Published | None
    ) -> frozenset[str]:
        """Keys of the subject's rows in a table, as they arrived and as they were typed."""
        found = set[str]()
        file = published_file(table)
        if published and file in published.manifest.files:
            found |= parquet.values_of(published.path(file), doom, key)
        raw, prefix = self.spec.raw, f"raw/{self.spec.name}/{self.partition}"
        for entry in self.store.list(prefix):
            if self.table_of(entry.key.removeprefix(f"{prefix}/")) == table:
                found |= records.values_of(
                    self.store.local(entry.key), doom, key, encoding=raw.encoding,
                    delimiter=raw.delimiter, quote=raw.quote,
                )  # fmt: skip
        return frozenset(found)


def drop_from_file(rows: Rows, published: Published, name: str, target: Path) -> int:
    """Write one published file without the subject's rows; returns how many those were.

    Files that hold no rows of subjects (reports, pictures, a transformation) have none. The train
    channel carries no identifiers: its rows are found by `train_position`.
    """
    area = published.place.split("/", 1)[0]
    table = table_of_file(name) if published.place.endswith("/tables") else None
    doom = rows.tables.get(table, rows.doom) if table else rows.doom
    if name.endswith(".parquet"):
        return parquet.drop_rows(published.path(name), target, doom)
    if not name.endswith(".csv") or name == TRAIN:
        return 0
    marked = _marked(rows, area, name, doom)
    return records.drop_records(published.path(name), target, marked)


def table_of_file(name: str) -> str:
    """The table that a published file of tables holds rows of, kept or set aside."""
    path = Path(name)
    return path.stem if path.parts[0] == "quarantine" else path.parts[0]


def _marked(rows: Rows, area: str, name: str, doom: Doom) -> Marked:
    if name in WITHOUT_HEADER:
        return records.by_first_field(doom)
    if area == "processed" and name.startswith("quarantine"):
        return records.by_quarantined_record(doom, rows.spec.raw.delimiter, rows.spec.raw.quote)
    return records.by_header(doom)


def train_position(rows: Rows, processed: Published, source: Published) -> int | None:
    """The line of the train channel that was made of the subject, None where none was.

    The channel has the rows of its source in their order, without those of the test split and
    those whose target is not known.

    Raises:
        ValueError: the channel was not made of this source, so no line can be told.
    """
    import pyarrow.compute as pc
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

    labels = pacsv.read_csv(
        processed.path(LABELS), convert_options=pacsv.ConvertOptions(
            include_columns=[ROW_ID], column_types={ROW_ID: "string"}, strings_can_be_null=False,
        ),
    )  # fmt: skip
    test = labels.column(ROW_ID)
    train: list[str] = []
    target = rows.spec.target_column
    for name in sorted(name for name in source.manifest.files if name.endswith(".parquet")):
        table = pq.read_table(source.path(name), columns=[ROW_ID, target])
        known = pc.is_valid(table.column(target))
        ids = table.column(ROW_ID).filter(known)
        train += ids.filter(pc.invert(pc.is_in(ids, value_set=test))).to_pylist()
    if len(train) != processed.facts["rows"]["train"]:
        raise ValueError("the train channel has other rows than its source")
    return next(
        (i for i, each in enumerate(train) if canonical(each) == rows.subject.identifier), None
    )


def places_of(store: Store, dataset: str) -> Mapping[str, list[str]]:
    """Where outputs with rows of subjects stand, by partition: `features/<dataset>/<p>` and so on.

    Places with attempts that were never published are among them. Of the reports only the
    explanations have rows.
    """
    found: dict[str, set[str]] = {}
    for area in ("processed", "features", "predictions", "reports"):
        for entry in store.walk(f"{area}/{dataset}"):
            place = entry.key.split("/attempt=", 1)[0].removesuffix("/_MANIFEST.json")
            parts = place.split("/")
            if area == "reports" and parts[3:] != [EXPLANATION]:
                continue
            if len(parts) >= 3 and place != entry.key:
                found.setdefault(parts[2], set()).add(place)
    for entry in store.walk(f"raw/{dataset}"):
        parts = entry.key.split("/")
        if len(parts) > 3:
            found.setdefault(parts[2], set())
    return {partition: sorted(found[partition]) for partition in sorted(found)}
