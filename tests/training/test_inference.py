"""Inference: every way of asking gives the batch job's answer, bit for bit."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import inference
from millrace.jobs.local import JobFailed
from millrace.training import MODEL, transform_locally, unpacked
from tests.training.conftest import HYPERPARAMETERS

LINES = "application/jsonlines"
every_algorithm = pytest.mark.parametrize("algorithm", sorted(HYPERPARAMETERS))


def batch(channel, model: Path, folder: Path) -> pd.DataFrame:
    """Ids and probabilities as the batch job writes them."""
    source, target = channel.folder / "test" / "test.csv", folder / "predictions.csv"
    inference.main(["--model-dir", str(model), "--input", str(source), "--output", str(target)])
    return pd.read_csv(target, header=None, names=["id", "p"], dtype={"id": str})


def requests(channel) -> list[str]:
    """The test rows as CSV lines without the id, as a client sends them."""
    columns = [item["name"] for item in channel.state["inputs"]]
    return [
        channel.test[columns].iloc[[place]].to_csv(header=False, index=False)
        for place in range(len(channel.test))
    ]


def records(channel) -> list[dict]:
    columns = [item["name"] for item in channel.state["inputs"]]
    return json.loads(channel.test[columns].to_json(orient="records", double_precision=15))


def json_lines(channel) -> str:
    """The test rows as batch transform sends them: an array a line, cut out of the input object."""
    columns = [item["name"] for item in channel.state["inputs"]]
    return "".join(json.dumps([row[name] for name in columns]) + "\n" for row in records(channel))


def ask(model: inference.Model, body: str, kind: str, accept: str = "text/csv") -> list[float]:
    """What an endpoint answers to one request."""
    answer = inference.output_fn(
        inference.predict_fn(inference.input_fn(body.encode(), kind), model), accept
    )
    if accept == "application/json":
        return json.loads(answer)["probability"]
    if accept == LINES:
        return [json.loads(line)["probability"] for line in answer.splitlines()]
    return [float(line) for line in answer.splitlines()]


@every_algorithm
def test_requests_agree_with_the_batch_job_row_by_row(channel, trained, algorithm, tmp_path):
    with unpacked(trained(algorithm) / MODEL) as folder:
        expected = batch(channel, folder, tmp_path)
        model = inference.model_fn(str(folder))
        wanted = expected["p"].tolist()
        assert expected["id"].tolist() == channel.test["_row_id"].tolist()
        lines, rows = requests(channel), records(channel)
        assert ask(model, "".join(lines), "text/csv") == wanted
        assert ask(model, json.dumps(rows), "application/json", "application/json") == wanted
        assert ask(model, json_lines(channel), LINES, LINES) == wanted
        for line, row, answer in zip(lines[:12], rows, wanted, strict=False):
            assert ask(model, line, "text/csv; charset=utf-8") == [answer]
            assert ask(model, json.dumps(row), "application/json") == [answer]
        pyfunc = inference._load_pyfunc(str(folder))
        assert pyfunc.predict(channel.test)["probability"].tolist() == wanted
        assert len(set(wanted)) > 3


@pytest.fixture(scope="module")
def model(trained):
    with unpacked(trained("decision_tree") / MODEL) as folder:
        yield inference.model_fn(str(folder))


def test_json_need_not_state_what_is_missing_as_text(model):
    full = {"height": 3, "age": None, "soil": "", "side": None, "gardener": None, "plot": None}
    blank = ask(model, "3,,,,,\n", "text/csv")
    assert ask(model, json.dumps(full), "application/json") == blank
    assert ask(model, json.dumps({**full, "height": "3"}), "application/json") == blank


def test_more_columns_than_needed_do_no_harm_in_json(model, channel):
    rows = records(channel)[:3]
    more = [{"colour": "red", **dict(reversed(row.items()))} for row in rows]
    kind = "application/json"
    assert ask(model, json.dumps(more), kind) == ask(model, json.dumps(rows), kind)


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ("1,2\n", "text/csv", r"2 fields a line; the model needs 6: \['height', "),
        ("1,2,a,b,c,d,e\n", "text/csv", "7 fields a line; the model needs 6"),
        ("1,2,a,b,c,d\n1,2,a\n", "text/csv", "3 fields a line; the model needs 6"),
        ("1,2,a,b,c,d\n1,2,a,b,c,d,e\n", "text/csv", "7 fields a line; the model needs 6"),
        ("", "text/csv", "an empty request"),
        ("tall,2,a,b,c,d\n", "text/csv", "the column 'height' must hold numbers"),
        ('[{"height": 1}]', "application/json", "lacks the columns"),
        ("{", "application/json", "Expecting"),
        ("x", "image/png", "content type 'image/png'; send text/csv or application/json"),
        ("", LINES, "line 1 is no JSON"),
        ('[1,2,"a","b","c","d"]\n\n', LINES, "line 2 is no JSON"),
        ('[1,2,"a","b","c","d"]\n[1,2]\n', LINES, r"line 2 has 2 values; the model needs 6: \['he"),
        ('{"height": 1, "age": 2}', LINES, r"line 1 lacks the fields \['soil', .*; it has \['hei"),
        ("7", LINES, "line 1 is '7'; send an array or an object of raw values"),
        ('[1,2,"a","b",["c"],"d"]', LINES, r"line 1, field 'gardener' is \[\"c\"\]; send text"),
        ('[1,2,"a",true,"c","d"]', LINES, "line 1, field 'side' is true; send text, a number or"),
        ('[1,2,"a","b","c","d"]\n["tall",2,"a","b","c","d"]', LINES,
         "the column 'height' must hold numbers: row 2 has 'tall'"),
    ],
)  # fmt: skip
def test_a_request_it_cannot_use_is_an_error_that_says_why(model, body, kind, said):
    with pytest.raises(ValueError, match=said):
        ask(model, body, kind)


VALUES = ["", "3", "3.0", "1e3", " b", "a\u2028b", 'say "hi"', "a\nb", "null", "NA", "\u00e9"]


def test_a_value_in_json_lines_is_what_the_same_text_is_in_csv():
    import json_lines as script

    names = ["a", "b"]
    table = pd.DataFrame({"a": VALUES, "b": VALUES[::-1]})
    text = io.StringIO(table.to_csv(header=False, index=False), newline="")
    [wanted] = inference.read_csv(text, names, None)
    pairs = table.to_numpy().tolist()
    arrays = "\n".join(json.dumps(pair, ensure_ascii=False) for pair in pairs)
    objects = "\r\n".join(json.dumps({"more": [1], "b": b, "a": a}) for a, b in pairs) + "\n"
    for body in (arrays, objects):
        pd.testing.assert_frame_equal(script.parse(script.split(body), names), wanted)
    plain = script.parse(script.split("[3, 3.0]\n[1e3, null]\n[NaN, -0.10]"), names)
    assert plain["a"].tolist() == ["3", "1e3", "NaN"]
    assert plain["b"].tolist() == ["3.0", "", "-0.10"]


def test_one_input_may_be_missing_on_a_line_of_its_own():
    frames = list(inference.read_csv(io.StringIO("1\n\n3\n"), ["a"], None))
    assert frames[0]["a"].tolist() == ["1", "", "3"]


def test_the_job_writes_the_same_bytes_as_a_prediction_in_pieces(
    channel, trained, tmp_path, monkeypatch
):
    monkeypatch.setattr(inference, "CHUNK", 7)
    target = tmp_path / "job.csv"
    with unpacked(trained("decision_tree") / MODEL) as folder:
        assert len(batch(channel, folder, tmp_path)) > 14
        transform_locally(folder, channel.folder / "test" / "test.csv", target, timeout=60)
    assert target.read_bytes() == (tmp_path / "predictions.csv").read_bytes()


def test_the_job_takes_very_long_fields(trained, tmp_path):
    (tmp_path / "test.csv").write_text(f"t1,1,2,a,b,{'c' * 200_000},d\n")
    with unpacked(trained("decision_tree") / MODEL) as folder:
        transform_locally(folder, tmp_path / "test.csv", tmp_path / "out.csv", timeout=60)
    assert (tmp_path / "out.csv").read_text().startswith("t1,0.")


def test_a_bad_line_fails_the_job_with_its_reason(trained, tmp_path):
    (tmp_path / "test.csv").write_text("t1,1,2,a,b,c,d\nt2,1,2\n")
    with (
        unpacked(trained("decision_tree") / MODEL) as folder,
        pytest.raises(JobFailed, match="exited with code 1: ValueError: 3 fields a line"),
    ):
        transform_locally(folder, tmp_path / "test.csv", tmp_path / "out.csv", timeout=60)


class Trap:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


@every_algorithm
def test_a_pickle_in_place_of_a_model_is_never_executed(trained, algorithm, tmp_path):
    from algorithms import model_file

    mark = tmp_path / "executed"
    trap = pickle.dumps(Trap(mark))
    with unpacked(trained(algorithm) / MODEL) as folder:
        (folder / model_file(algorithm)).write_bytes(trap)
        with pytest.raises(Exception):  # noqa: B017 (each library has its own)
            inference.model_fn(str(folder))
    assert not mark.exists()
    pickle.loads(trap)  # noqa: S301 (the trap works)
    assert mark.exists()


def test_line_breaks_inside_values_survive_the_way_to_the_model(tmp_path):
    from millrace.steps.preprocess import _write_test_rows
    from tests.orchard import orchard

    spec = orchard()
    texts = ["a\rb", "a\nb", "a\r\nb", 'say "hi", he said', " b", "NA", "null", "1.0"]
    rows = pd.DataFrame(dict.fromkeys([*spec.columns, "bears"], texts)).assign(
        _row_id=texts, height=np.linspace(0, 1, 8) / 3, age=1e-17
    )
    _write_test_rows(rows, spec, tmp_path / "test")
    with (tmp_path / "test" / "test.csv").open(newline="") as file:
        [frame] = inference.read_csv(file, ["_row_id", *spec.input_columns()], None)
    for name in ("_row_id", "soil", "gardener"):
        assert frame[name].tolist() == texts
    assert frame["height"].astype(float).tolist() == rows["height"].tolist()
