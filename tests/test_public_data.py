"""Fetching the public data sets: run as a program, with a stand-in for the Kaggle client."""

from __future__ import annotations

import dataclasses
import functools
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import millrace
from millrace.public_data import SOURCES, FetchError, fetch
from millrace.samples import SAMPLES, write_sample

FAKE_CLIENT = f"""#!{sys.executable}
import os, pathlib, shutil, sys
arguments = sys.argv[1:]
folder = pathlib.Path(arguments[arguments.index("-p") + 1])
name = arguments[arguments.index("-f") + 1]
pathlib.Path(os.environ["FAKE_CALLS"]).open("a").write(" ".join(arguments) + chr(10))
if said := os.environ.get("FAKE_ERROR"):
    sys.exit(said)
source = pathlib.Path(os.environ["FAKE_FILES"]) / (name + os.environ.get("FAKE_ENDING", ""))
shutil.copy(source, folder / source.name)
"""


@dataclasses.dataclass(frozen=True)
class Machine:
    """A folder that plays the machine: its PATH, its home and what Kaggle would send."""

    root: Path

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        names = ("PATH", "HOME", "FAKE_FILES", "FAKE_CALLS")
        folders = {name: str(self.root / name.lower()) for name in names}
        closed = dict.fromkeys(("https_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9")
        return subprocess.run(
            [sys.executable, "-m", "millrace.public_data", "--folder", str(self.data), *arguments],
            env={
                "PYTHONPATH": str(Path(millrace.__file__).parents[1]),
                **folders,
                **closed,
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
        )

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def calls(self) -> str:
        path = self.root / "fake_calls"
        return path.read_text() if path.exists() else ""

    def files(self) -> list[str]:
        """Everything below the data folder, hidden files too."""
        found = (path for path in self.data.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.data)) for path in found)


@pytest.fixture
def bare(tmp_path: Path) -> Machine:
    """A machine without client, credentials or network."""
    for name in ("path", "home", "fake_files"):
        (tmp_path / name).mkdir()
    return Machine(tmp_path)


@pytest.fixture
def machine(bare: Machine) -> Machine:
    """A machine with credentials and a Kaggle client that sends whole files."""
    client = bare.root / "path" / "kaggle"
    client.write_text(FAKE_CLIENT)
    client.chmod(0o755)
    (bare.root / "home" / ".kaggle").mkdir()
    (bare.root / "home" / ".kaggle" / "kaggle.json").write_text("{}")
    for dataset in ("titanic", "telecom_churn"):
        write_sample(dataset, bare.root / "fake_files")
    return bare


def assert_one_clear_error(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 1
    assert done.stderr.count("error:") == 1
    assert "Traceback" not in done.stderr
    assert "or save it by hand: https://" in done.stderr


@pytest.mark.parametrize("dataset", ["titanic", "telecom_churn"])
def test_fetches_a_data_set_and_tells_its_licence_first(machine: Machine, dataset: str) -> None:
    done = machine.run("--only", dataset)
    name = SAMPLES[dataset].file_name
    assert done.returncode == 0, done.stderr
    assert machine.files() == [f"{dataset}/{name}"]
    fetched = (machine.data / dataset / name).read_bytes()
    assert fetched == (machine.root / "fake_files" / name).read_bytes()
    assert done.stdout.index(SOURCES[dataset].licence) < done.stdout.index("fetched")
    assert " ".join(SOURCES[dataset].kaggle) in machine.calls


def test_takes_the_file_out_of_an_archive(machine: Machine) -> None:
    files = machine.root / "fake_files"
    with zipfile.ZipFile(files / "train.csv.zip", "w") as archive:
        archive.write(files / "train.csv", "train.csv")
    assert machine.run("--only", "titanic", FAKE_ENDING=".zip").returncode == 0
    assert machine.files() == ["titanic/train.csv"]


def test_a_damaged_archive_is_refused(machine: Machine) -> None:
    (machine.root / "fake_files" / "train.csv.zip").write_bytes(b"PK half of it")
    done = machine.run("--only", "titanic", FAKE_ENDING=".zip")
    assert_one_clear_error(done)
    assert "damaged" in done.stderr
    assert machine.files() == []


def test_keeps_a_file_that_is_already_there(machine: Machine) -> None:
    (machine.data / "titanic").mkdir(parents=True)
    (machine.data / "titanic" / "train.csv").write_text("mine")
    done = machine.run("--only", "titanic")
    assert done.returncode == 0
    assert "already there" in done.stdout
    assert (machine.data / "titanic" / "train.csv").read_text() == "mine"
    assert machine.calls == ""


@pytest.mark.parametrize(
    ("keep", "reason"),
    [(0.5, "cut short"), (0.001, "not with the header"), (0, "not with the header")],
)
def test_a_truncated_file_is_refused(machine: Machine, keep: float, reason: str) -> None:
    file = machine.root / "fake_files" / "train.csv"
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * keep)])
    done = machine.run("--only", "titanic")
    assert_one_clear_error(done)
    assert reason in done.stderr
    assert machine.files() == []


def test_a_file_cut_in_its_last_row_is_refused(machine: Machine) -> None:
    file = machine.root / "fake_files" / "train.csv"
    file.write_bytes(file.read_bytes()[:-30])
    assert_one_clear_error(machine.run("--only", "titanic"))
    assert machine.files() == []


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("403 - Forbidden", "accept the terms"),
        ("401 - Unauthorized", "create a new token"),
        ("Temporary failure in name resolution", "check the network"),
    ],
)
def test_a_failing_client_is_explained(machine: Machine, said: str, cure: str) -> None:
    done = machine.run("--only", "titanic", FAKE_ERROR=said)
    assert_one_clear_error(done)
    assert said in done.stderr
    assert cure in done.stderr
    assert machine.files() == []


def test_without_credentials_says_where_to_get_them(bare: Machine) -> None:
    done = bare.run("--only", "telecom_churn")
    assert_one_clear_error(done)
    assert "KAGGLE_USERNAME and KAGGLE_KEY" in done.stderr


@pytest.mark.parametrize(
    "environment",
    [{"KAGGLE_USERNAME": "someone", "KAGGLE_KEY": "something"}, {"KAGGLE_API_TOKEN": "something"}],
)
def test_without_a_client_says_what_to_install(bare: Machine, environment: dict[str, str]) -> None:
    done = bare.run("--only", "titanic", **environment)
    assert_one_clear_error(done)
    assert "install uv" in done.stderr


@pytest.mark.parametrize(
    ("tool", "words"), [("uvx", "--from kaggle kaggle"), ("uv", "tool run --from kaggle kaggle")]
)
def test_runs_the_client_with_uv_where_there_is_none(
    machine: Machine, tool: str, words: str
) -> None:
    (machine.root / "path" / "kaggle").rename(machine.root / "path" / tool)
    assert machine.run("--only", "titanic").returncode == 0
    assert machine.calls.startswith(f"{words} competitions download")


def test_without_network_says_so(bare: Machine) -> None:
    done = bare.run("--only", "loan_default")
    assert_one_clear_error(done)
    assert "cannot reach raw.githubusercontent.com" in done.stderr
    assert bare.files() == []


def test_all_failures_are_told_and_do_not_stop_the_others(machine: Machine) -> None:
    done = machine.run()
    assert_one_clear_error(done)
    assert machine.files() == [
        f"telecom_churn/{SAMPLES['telecom_churn'].file_name}",
        "titanic/train.csv",
    ]


def test_a_folder_that_cannot_be_written_is_one_clear_error(machine: Machine) -> None:
    machine.data.write_text("a file")
    assert_one_clear_error(machine.run("--only", "titanic"))


def test_an_unknown_name_lists_the_known_ones(bare: Machine) -> None:
    done = bare.run("--only", "iris")
    assert done.returncode == 2
    assert all(dataset in done.stderr for dataset in SOURCES)


def test_every_sample_has_a_source() -> None:
    assert SOURCES.keys() == SAMPLES.keys()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a web server on this machine that serves the folder `tmp_path/site`."""
    monkeypatch.setitem(os.environ, "no_proxy", "127.0.0.1")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_fetches_from_an_address(tmp_path: Path, site: str) -> None:
    served = write_sample("loan_default", tmp_path / "site")
    target = tmp_path / "data" / served.name
    fetch(
        "loan_default",
        dataclasses.replace(SOURCES["loan_default"], url=f"{site}/{served.name}"),
        target,
    )
    assert target.read_bytes() == served.read_bytes()
    assert list(target.parent.iterdir()) == [target]


def test_an_address_that_is_gone_says_so(tmp_path: Path, site: str) -> None:
    (tmp_path / "site").mkdir()
    gone = dataclasses.replace(SOURCES["loan_default"], url=f"{site}/gone.csv")
    with pytest.raises(FetchError, match="404"):
        fetch("loan_default", gone, tmp_path / "data" / "Loan_Data.csv")
    assert list((tmp_path / "data").iterdir()) == []
