"""Drafting a spec from a sample file: real files, messy ones, and whatever a file may hold."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millrace.dataset_draft import DraftError, draft_spec
from millrace.dataset_draft.__main__ import main, usable_name
from millrace.dataset_draft.text import scalar
from millrace.dataset_draft.values import same_label, words_of
from millrace.datasets import DatasetSpec, load_spec
from millrace.datasets.file import SpecFile
from millrace.samples import write_sample
from millrace.settings import Settings

PROJECT = Path(__file__).resolve().parents[1]

Drafter = Callable[..., DatasetSpec]


@pytest.fixture
def drafted(tmp_path: Path) -> Drafter:
    """Draft a spec through the command and load it: `drafted(path, "--target", "y")`."""

    def run(path: Path, *options: str) -> DatasetSpec:
        output = tmp_path / "out" / "drafted.yaml"
        assert main([str(path), "--output", str(output), "--force", *options]) == 0
        return load_spec(output)

    return run


def roles(spec: DatasetSpec) -> dict[str, list[str]]:
    return {role: names for role in ROLES if (names := spec.columns_with(role))}  # type: ignore[arg-type]


ROLES = ("id", "numeric", "categorical", "personal", "outcome", "drop")


def table(rows: int = 60, **columns: Callable[[int], object]) -> list[list[str]]:
    """Rows of text, header first: an id, a number, a category, more columns, and the target."""
    draw = random.Random(0)
    made: dict[str, Callable[[int], object]] = {
        "customer_id": lambda row: f"C{row:04d}",
        "income": lambda _: round(draw.uniform(1000, 5000), 2),
        "region": lambda _: draw.choice(["north", "south", "west"]),
        **columns,
        "churn": lambda _: "yes" if draw.random() < 0.3 else "no",
    }
    return [list(made), *([str(value(row)) for value in made.values()] for row in range(rows))]


def written(
    folder: Path, rows: list[list[str]], name: str = "sample.csv", encoding: str = "utf-8",
    **dialect: str,
) -> Path:  # fmt: skip
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", **dialect).writerows(rows)
    path = folder / name
    path.write_bytes(text.getvalue().encode(encoding))
    return path


# The real files


def test_titanic(real_data: Path, drafted: Drafter) -> None:
    spec = drafted(real_data / "titanic/train.csv")
    assert (spec.target.column, spec.target.positive, spec.target.negative) == (
        "Survived",
        "1",
        "0",
    )
    assert roles(spec) == {
        "id": ["PassengerId"],
        "numeric": ["Pclass", "Age", "SibSp", "Parch", "Fare"],
        "categorical": ["Sex", "Embarked"],
        "personal": ["Name"],
        "drop": ["Ticket", "Cabin"],
    }
    assert spec.columns["Embarked"].values == ["C", "Q", "S"]
    assert spec.raw.files == "*.csv"
    assert spec.features == {} and spec.gates == {} and spec.schedule is None
    assert spec.columns["Age"].minimum is None


def test_loan(real_data: Path, drafted: Drafter) -> None:
    spec = drafted(real_data / "loan_default/Loan_Data.csv")
    assert spec.target.column == "default"
    assert spec.id_column == "customer_id"
    assert len(spec.columns_with("numeric")) == 6


def test_telco(real_data: Path, drafted: Drafter) -> None:
    path = real_data / "telecom_churn/WA_Fn-UseC_-Telco-Customer-Churn.csv"
    spec = drafted(path)
    assert (spec.target.column, spec.target.positive) == ("Churn", "Yes")
    assert spec.id_column == "customerID"
    assert len(spec.columns_with("categorical")) == 15
    assert "TotalCharges" in spec.columns_with("numeric")
    assert not spec.columns_with("drop", "outcome", "personal")


@pytest.mark.parametrize(
    "name", ["application_train.csv", "random_rows_1000/application_train.csv"]
)
def test_home_credit_is_wide(name: str, real_data: Path, drafted: Drafter) -> None:
    spec = drafted(real_data / "home_credit" / name)
    assert spec.target.column == "TARGET"
    assert spec.id_column == "SK_ID_CURR"
    assert spec.decision.maximise == "f1"  # 8 % positive
    assert len(spec.columns_with("numeric")) > 90
    assert len(spec.columns_with("categorical")) >= 15
    assert spec.columns["ORGANIZATION_TYPE"].missing in (["XNA"], [])
    assert not spec.columns_with("personal", "outcome")  # NAME_CONTRACT_TYPE is no name


# How a file is written


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
        ("cp1252", "cp1252"),
    ],
)
def test_finds_the_encoding(encoding: str, found: str, tmp_path: Path, drafted: Drafter) -> None:
    rows = table(straße=lambda row: "Köln" if row % 2 else "Bonn")
    spec = drafted(written(tmp_path, rows, encoding=encoding))
    assert spec.raw.encoding == found
    assert spec.columns["straße"].values == ["Bonn", "Köln"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quote", ['"', "'"])
def test_finds_delimiter_and_quote(
    delimiter: str, quote: str, tmp_path: Path, drafted: Drafter
) -> None:
    rows = table(remark=lambda row: f"well{delimiter} {'yes' if row % 3 else 'no'}, or; so")
    spec = drafted(written(tmp_path, rows, "sample.txt", delimiter=delimiter, quotechar=quote))
    assert (spec.raw.delimiter, spec.raw.quote) == (delimiter, quote)
    assert spec.raw.files == "*.txt"
    assert spec.columns["remark"].role == "categorical"


@pytest.mark.parametrize("delimiter", [";", ","])
def test_finds_a_decimal_comma(delimiter: str, tmp_path: Path, drafted: Drafter) -> None:
    rows = table(fee=lambda row: f"{row},5", total=lambda row: f"1.{row:03d},25")
    rows[1:] = [[row[0], row[1].replace(".", ","), *row[2:]] for row in rows[1:]]
    spec = drafted(written(tmp_path, rows, delimiter=delimiter))
    assert spec.raw.decimal == ","
    assert spec.columns_with("numeric") == ["income", "fee", "total"]


def test_the_decimal_mark_of_most_columns_counts(tmp_path: Path, drafted: Drafter) -> None:
    spec = drafted(written(tmp_path, table(odd=lambda row: f"{row},5", fee=lambda row: row / 4)))
    assert spec.raw.decimal == "."
    assert spec.columns_with("numeric") == ["income", "fee"]


def test_thousands_alone_are_no_decimal_comma(tmp_path: Path, drafted: Drafter) -> None:
    rows = [[*row[:1], *row[2:]] for row in table(turnover=lambda row: f"1,{row + 100}")]
    spec = drafted(written(tmp_path, rows))
    assert spec.raw.decimal == "."
    assert spec.columns["turnover"].role == "drop"


def test_blank_lines_line_ends_and_long_values(tmp_path: Path, drafted: Drafter) -> None:
    rows = table(remark=lambda row: "x" * 12_000 if row == 3 else f"note {row % 2}")
    path = written(tmp_path, rows)
    path.write_bytes(b"\r\n" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\r\n")
    assert drafted(path).raw.max_field_bytes == 24_000


def test_awkward_names_and_labels(tmp_path: Path, drafted: Drafter) -> None:
    rows = table(
        **{
            "a: b # c": lambda row: "true" if row % 2 else "null",
            "line\nbreak": lambda row: row % 7 + 0.5,
            "": lambda row: row,
            "{brace}": lambda row: ["007", "1e3", "12:30", "No"][row % 4],
            "x\u2028\x07": lambda row: ["- x", "'q'", '"', "Ünï 🎈"][row % 4],
        }  # type: ignore[arg-type]
    )
    spec = drafted(written(tmp_path, rows))
    assert set(spec.columns) == set(rows[0]) - {"churn"}
    assert spec.columns["{brace}"].values == ["007", "12:30", "1e3", "No"]
    assert spec.columns[""].role == "drop"


# What the columns are


def test_missing_markers_stand_with_their_column(tmp_path: Path, drafted: Drafter) -> None:
    spec = drafted(
        written(
            tmp_path,
            table(
                age=lambda row: "?" if row % 9 == 0 else 20 + row % 40,
                height=lambda row: ["NA", "null", ""][row % 3] if row % 5 == 0 else 150.5 + row,
                job=lambda row: "unknown" if row % 4 == 0 else ["smith", "baker"][row % 2],
                status=lambda row: ["none", "one", "two"][row % 3],
                weight=lambda row: "a lot" if row == 50 else 60 + row % 30,
            ),
        )
    )
    assert spec.columns["age"].missing == ["?"]
    assert spec.columns["height"].missing == ["NA", "null"]
    assert spec.columns["job"].missing == ["unknown"]
    assert spec.columns["job"].impute == "category"
    assert spec.columns["status"].values == ["none", "one", "two"]
    assert spec.columns["weight"].missing == ["a lot"]
    assert set(spec.columns_with("numeric")) == {"income", "age", "height", "weight"}


def test_spellings_that_differ_in_case_and_blanks(tmp_path: Path, drafted: Drafter) -> None:
    rows = table(plan=lambda row: ["Fibre  Optic", "fibre optic", "DSL", "dsl", "DSL "][row % 5])
    for place, row in enumerate(rows[1:]):
        row[-1] = ["yes", " yes", "YES", "no", "No", "no"][place % 6]
    spec = drafted(written(tmp_path, rows))
    assert (spec.target.positive, spec.target.negative) == ("yes", "no")
    assert spec.target.spellings == {"yes": ["YES"], "no": ["No"]}
    assert spec.columns["plan"].values == ["DSL", "Fibre  Optic"]
    assert spec.columns["plan"].spellings == {"Fibre  Optic": ["fibre optic"], "DSL": ["dsl"]}


def test_yes_and_no_in_several_words_are_two_classes(tmp_path: Path, drafted: Drafter) -> None:
    rows = table()
    for place, row in enumerate(rows[1:]):
        row[-1] = ["yes", "Y", "1", "true", "no", "n", "0", "no"][place % 8]
    spec = drafted(written(tmp_path, rows))
    assert spec.target.negative == "no"
    assert {spec.target.positive, *spec.target.spellings[spec.target.positive]} == {
        "yes", "Y", "1", "true",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "positive"),
    [
        (("no", "yes"), "yes"),
        (("0", "1"), "1"),
        (("1.0", "0.0"), "1.0"),
        (("TRUE", "FALSE"), "TRUE"),
        (("good", "bad"), "bad"),
        (("stayed", "left"), "left"),  # the rarer one
        (("Not churned", "Left us"), "Left us"),
    ],
)
def test_the_positive_class(
    labels: tuple[str, str], positive: str, tmp_path: Path, drafted: Drafter
) -> None:
    rows = table()
    for place, row in enumerate(rows[1:]):
        row[-1] = labels[place % 3 == 0]
    spec = drafted(written(tmp_path, rows))
    assert spec.target.positive == positive


def test_personal_and_free_text_and_dates(tmp_path: Path, drafted: Drafter) -> None:
    spec = drafted(
        written(
            tmp_path,
            table(
                fullName=lambda row: f"Doe {row}, Jane",
                contact=lambda row: f"someone{row}@example.org",
                phone_number=lambda row: 4930123400 + row,
                birth_date=lambda row: f"{1950 + row % 40}-01-{row % 28 + 1:02d}",
                signup=lambda row: f"{row % 28 + 1:02d}.03.2024",
                comment=lambda row: f"said this and that, number {row}",
                price=lambda row: f"$1,{100 + row}.50",
                order_id=lambda row: 5000 + row // 2,
                constant=lambda _: "same",
                empty=lambda _: "",
                region_code=lambda row: row % 3 + 1,
                children=lambda row: row % 3,
            ),
        )
    )
    assert roles(spec) == {
        "id": ["customer_id"],
        "numeric": ["income", "children"],
        "categorical": ["region", "region_code"],
        "personal": ["fullName", "contact", "phone_number", "birth_date"],
        "drop": ["signup", "comment", "price", "order_id", "constant", "empty"],
    }


def test_no_value_that_says_who_someone_is_leaves_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, table(full_name=lambda row: f"Secretperson {row}"))
    assert main([str(path), "--output", "-"]) == 0
    shown = capsys.readouterr()
    assert "Secretperson" not in shown.out + shown.err
    assert "C0001" not in shown.out + shown.err


def test_what_is_known_only_afterwards_is_an_outcome(tmp_path: Path, drafted: Drafter) -> None:
    rows = table(
        rows=120,
        balance_after=lambda row: row * 1.5 % 7,
        churn_reason=lambda row: ["price", "service"][row % 2],
        closed_on=lambda row: f"day {row % 3}",
        state=lambda row: "?",
        final_bill=lambda row: "?",
        score=lambda row: "?",
    )
    for place, row in enumerate(rows[1:]):
        left = row[-1] == "yes"
        row[-4:-1] = ["gone" if left else "here", "12.5" if left else "", str(place + 500 * left)]
    spec = drafted(written(tmp_path, rows))
    assert spec.columns_with("outcome") == [
        "balance_after", "churn_reason", "closed_on", "state", "final_bill", "score",
    ]  # fmt: skip


def test_a_target_without_a_word_makes_nothing_an_outcome(tmp_path: Path, drafted: Drafter) -> None:
    rows = table()
    rows[0][-1] = "2024"
    assert drafted(written(tmp_path, rows)).columns_with("outcome") == []


def test_a_perfect_prediction_in_a_few_rows_proves_nothing(
    tmp_path: Path, drafted: Drafter
) -> None:
    rows = table(rows=12, score=lambda row: row)
    for place, row in enumerate(rows[1:]):
        row[-1] = "yes" if place > 8 else "no"
    assert drafted(written(tmp_path, rows)).columns["score"].role == "numeric"


def test_labels_are_listed_only_where_the_sample_shows_all(
    tmp_path: Path, drafted: Drafter
) -> None:
    spec = drafted(
        written(
            tmp_path,
            table(
                rows=400,
                few=lambda row: "abc"[row % 3],
                rare=lambda row: f"once {row}" if row % 50 == 1 else "abc"[row % 3],
                many=lambda row: f"town {row % 19}" if row % 3 else "abc"[row % 2],
            ),
        )
    )
    assert spec.columns["few"].values == ["a", "b", "c"]
    assert spec.columns["rare"].role == "categorical"
    assert spec.columns["rare"].values is None


def test_a_sentinel_is_told_with_its_spelling(tmp_path: Path) -> None:
    path = written(tmp_path, table(days=lambda row: "365243.0" if row % 5 == 0 else f"{row}.0"))
    draft, _, _ = draft_spec(path, "sample")
    assert any('`missing: ["365243.0"]`' in caution for caution in draft.cautions())


def test_bad_rows_are_tolerated_as_far_as_the_sample_needs_it(
    tmp_path: Path, drafted: Drafter
) -> None:
    rows = table(rows=100)
    for row in rows[1:6]:
        row[-1] = ""
    rows[10] += ["one field too many"]
    spec = drafted(written(tmp_path, [*rows, rows[50]]))
    assert spec.raw.tolerance == 0.06


def test_repeated_rows_do_not_hide_an_id(tmp_path: Path, drafted: Drafter) -> None:
    rows = table()
    assert drafted(written(tmp_path, [*rows, rows[5], rows[6]])).id_column == "customer_id"


# The command


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


def test_the_target_can_be_named(tmp_path: Path, drafted: Drafter) -> None:
    path = written(tmp_path, table(insured=lambda row: ["J", "N"][row % 4 > 0]))
    spec = drafted(path, "--target", "insured")
    assert (spec.target.column, spec.target.positive) == ("insured", "J")
    assert "churn" in spec.columns


def test_without_a_hint_the_last_column_with_two_values_is_the_target(
    tmp_path: Path, drafted: Drafter
) -> None:
    rows = table(insured=lambda row: ["J", "N"][row % 4 > 0])
    spec = drafted(written(tmp_path, [row[:-1] for row in rows]))
    assert spec.target.column == "insured"


THREE = [[*row[:-1], value] for row, value in zip(table(), ["churn", *"abc" * 20], strict=True)]


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


# Properties


@given(st.text())
def test_any_text_is_read_back_from_the_yaml(text: str) -> None:
    from millrace.datasets import file as spec_file

    loader = spec_file._Loader(f"{{key: {scalar(text)}, {scalar('x' + text)}: 1}}")
    assert loader.get_single_data() == {"key": text, "x" + text: 1}


@given(st.text(max_size=8))
def test_spellings_of_a_label_are_one(text: str) -> None:
    assert same_label(text.upper().lower()) == same_label(f" {text.upper().lower()}  ")
    assert same_label("1.0") == same_label("1") == same_label("1.00") != same_label("10")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("customerID", ["customer", "id"]),
        ("SK_ID_CURR", ["sk", "id", "curr"]),
        ("IDNumber", ["id", "number"]),
        ("Phone 2", ["phone"]),
        ("", []),
    ],
)
def test_words_of_a_name(name: str, words: list[str]) -> None:
    assert words_of(name) == words


VALUES = st.one_of(
    st.sampled_from(["", "?", "NA", "yes", "no", "1", "0", "1,5", "2.5", "-999", " Yes ", "a b"]),
    st.integers(-999, 9999).map(str),
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12),
)
NAMES = st.one_of(
    st.sampled_from("id name target y Email closed_date customer_no code".split()),
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=10),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_is_drafted_loads_and_fits_its_sample(data: st.DataObject, tmp_path: Path) -> None:
    """A file of any text is either refused with a reason, or the draft loads and validates."""
    names = data.draw(st.lists(NAMES, min_size=2, max_size=6, unique=True))
    rows = data.draw(st.lists(st.tuples(*[VALUES] * (len(names) - 1)), min_size=2, max_size=30))
    lines = [names, *([*row, ["yes", "no"][place % 2]] for place, row in enumerate(rows))]
    delimiter = data.draw(st.sampled_from([",", ";", "\t", "|"]))
    path = written(tmp_path, lines, delimiter=delimiter)  # type: ignore[arg-type]
    try:
        draft, text, report = draft_spec(path, "sample")
    except DraftError as error:
        assert str(error)
        return
    target = tmp_path / "sample.yaml"
    target.write_text(text, encoding="utf-8")
    spec = load_spec(target)
    assert report["passed"]
    assert {*spec.columns, spec.target.column} == {*draft.dialect.header}
    assert len([c for c in spec.columns.values() if c.minimum is not None]) == 0
    assert SpecFile.read(target).values["target"]["positive"] == spec.target.positive


# From the draft to a model


@pytest.mark.parametrize("dataset", ["titanic", "loan_default", "telecom_churn"])
def test_the_samples_are_drafted(dataset: str, tmp_path: Path, drafted: Drafter) -> None:
    spec = drafted(write_sample(dataset, tmp_path))
    ours = load_spec(PROJECT / "include" / "datasets" / f"{dataset}.yaml")
    assert (spec.target.column, spec.target.positive) == (ours.target.column, ours.target.positive)
    assert spec.id_column == ours.id_column
    assert spec.columns_with("numeric", "categorical") == ours.columns_with(
        "numeric", "categorical"
    )
    assert spec.columns_with("personal") == ours.columns_with("personal")


def test_a_draft_trains_end_to_end(tmp_path: Path, drafted: Drafter) -> None:
    from millrace.lake import open_store
    from millrace.steps.evaluate import evaluate
    from millrace.steps.preprocess import preprocess
    from millrace.steps.run import Run
    from millrace.steps.train import train, transform
    from millrace.steps.validate_raw import validate_raw

    partition = "2024-05-01"
    environment = Settings.from_environment({"MILLRACE_HOME": str(tmp_path / "home")})
    raw = Path(environment.lake) / "raw" / "drafted" / partition
    spec = drafted(write_sample("titanic", raw))
    run = Run(spec, partition, open_store(environment.lake), environment, tuple(spec.candidates))
    validate_raw(run)
    for candidate in preprocess(run):
        train(run, candidate).do_here()
        transform(run, candidate).do_here()
    facts = evaluate(run)
    assert set(spec.candidates) == {"xgboost", "logistic_regression"}
    assert facts["metrics"]["roc_auc"] > 0.8
