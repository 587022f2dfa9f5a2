"""How SageMaker trains and predicts: what is sent, what is asked for, and what comes back."""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from millrace.aws.images import image_of
from millrace.aws.prices import cost, hourly
from millrace.aws.requests import model_request, tags, training_request, transform_request
from millrace.jobs.job import Job, JobFailed, Request, Status
from millrace.jobs.names import job_name
from millrace.jobs.work import Remote
from millrace.lake import Attempt, Published
from millrace.lake.sent import send_once, sent_key
from millrace.steps.run import Run, content_of
from millrace.training import MODEL, OUTPUT, pack, source_archive, source_digest

SOURCE, ROWS = "source.tar.gz", "rows.jsonl"
LONGEST_FIELD = 2**27  # characters; the csv module would stop at 131,072


def remote_training(run: Run, candidate: str, processed: Published, arguments: list[str]) -> Remote:
    """A training job: the train channel in, model.tar.gz and output.tar.gz out."""
    target = run.settings.aws_target()
    limit, output = run.settings.job_timeout, f"jobs/{run.spec.name}/{run.partition}"
    image, source = _image(run, candidate), _source_key()
    what = {
        "image": image, "instance": target.training_instance,
        "source": source, "arguments": arguments, "limit": limit,
        "channel": content_of(processed, "train/"),
    }  # fmt: skip
    name = _name(run, "train", candidate, what)
    price = _price(run, "sagemaker_training", target.training_instance)
    body = training_request(
        target, image=image, source=run.store.uri(source), arguments=arguments,
        channel=f"{processed.uri}/train/", output=run.store.uri(output),
        checkpoints=run.store.uri(f"{output}/{name}/checkpoints"), limit=limit,
        tags=_tags(run, "train", price),
    )  # fmt: skip

    def collect(job: Job, _status: Status, attempt: Attempt) -> None:
        made = f"{output}/{job.id}/output"
        shutil.copy(run.store.local(f"{made}/{MODEL}"), attempt.folder / MODEL)
        if any(entry.key.endswith(OUTPUT) for entry in run.store.list(made)):
            shutil.copy(run.store.local(f"{made}/{OUTPUT}"), attempt.folder / OUTPUT)
        else:  # too few rows to cross-validate: the script left nothing to pack
            with tempfile.TemporaryDirectory() as nothing:
                pack(Path(nothing), attempt.folder / OUTPUT)

    request = Request("sagemaker_training", name, body, limit, hourly=price)
    return _remote(run, request, lambda: _send_source(run), collect)


def remote_transform(run: Run, candidate: str, processed: Published, model: Published) -> Remote:
    """A batch transform job: the test rows in, a prediction for each id out."""
    target = run.settings.aws_target()
    rows = processed.manifest.files["test/test.csv"]["sha256"]
    limit, sent = run.settings.job_timeout, sent_key(rows, ROWS)
    image, source = _image(run, candidate), _source_key()
    what = {
        "image": image, "instance": target.transform_instance,
        "source": source, "model": model.manifest.content, "rows": sent, "limit": limit,
    }  # fmt: skip
    name = _name(run, "transform", candidate, what)
    output = f"jobs/{run.spec.name}/{run.partition}/{name}"
    price = _price(run, "sagemaker_transform", target.transform_instance)
    labels = _tags(run, "transform", price)
    body = {
        "model": model_request(
            target, image=image, source=run.store.uri(source),
            model=f"{model.uri}/{MODEL}", tags=labels,
        ),
        "transform": transform_request(
            target, rows=run.store.uri(sent), output=run.store.uri(output), tags=labels
        ),
    }  # fmt: skip

    def send_all() -> None:
        _send_source(run)
        with tempfile.TemporaryDirectory(prefix="millrace-rows-") as folder:
            lines = Path(folder) / ROWS
            as_json_lines(processed.path("test/test.csv"), lines)
            send_once(run.store, lines, sent)

    def collect(job: Job, _status: Status, attempt: Attempt) -> None:
        answers = run.store.local(f"{output}/{ROWS}.out")
        count = read_predictions(answers, attempt.folder / "predictions.csv")
        wanted = processed.facts["rows"]["test"]
        if count != wanted:
            raise JobFailed(
                f"{job} predicted {count} of {wanted} rows, see {run.store.uri(output)}/{ROWS}.out;"
                " delete that file and run the task again"
            )
        attempt.facts["rows"] = count

    request = Request("sagemaker_transform", name, body, limit, hourly=price)
    return _remote(run, request, send_all, collect)


def where(run: Run, candidate: str) -> dict[str, str]:
    """What a job's output depends on besides its input: the libraries of where it runs."""
    return {"engine": run.engine, "image": _image(run, candidate)} if run.is_remote else {}


def as_json_lines(rows: Path, target: Path) -> None:
    """Write `id,<inputs>` lines of CSV as the objects that batch transform splits by line.

    A value may hold commas, quotes and line breaks, which lines of CSV would not survive. The
    output has a line `{"id": ..., "inputs": [...]}` for each row, with all values as text.
    """
    before = csv.field_size_limit(LONGEST_FIELD)  # one for the whole process
    try:
        with rows.open(newline="", encoding="utf-8") as source, target.open("w") as lines:
            for identifier, *inputs in csv.reader(source):
                lines.write(json.dumps({"id": identifier, "inputs": inputs}) + "\n")
    finally:
        csv.field_size_limit(before)


def read_predictions(answers: Path, target: Path) -> int:
    """Write the joined output of batch transform as `id,probability`; returns the rows.

    A model of several classes answers with a list, which becomes a field a class.

    Raises:
        JobFailed: a line is not what the model answers.
    """
    with answers.open(encoding="utf-8") as lines, target.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        count = width = 0
        for count, line in enumerate(lines, start=1):
            try:
                answer = json.loads(line)
                found = answer["SageMakerOutput"]["probability"]
                values = [float(value) for value in (found if isinstance(found, list) else [found])]
                if not values or not all(0 <= value <= 1 for value in values):  # neither is NaN
                    raise ValueError("no probability")
                if len(values) != (width := width or len(values)):
                    raise ValueError(f"{len(values)} probabilities after {width} in other lines")
                writer.writerow([answer["id"], *map(repr, values)])
            except (ValueError, KeyError, TypeError) as error:
                raise JobFailed(
                    f"line {count} of batch transform's output is {line[:200]!r}, no prediction"
                    f" with its id ({error!r})"
                ) from None
    return count


def _source_key() -> str:
    return sent_key(source_digest(), SOURCE)


def _send_source(run: Run) -> None:
    with source_archive() as archive:
        send_once(run.store, archive, _source_key())


def _name(run: Run, task: str, candidate: str, what: Mapping[str, Any]) -> str:
    """The job's name; work that is to be done again is other work in each run."""
    salt = {"again": run.run_id} if run.again else {}
    lake = {"lake": run.store.root}
    return job_name(run.spec.name, run.partition, task, candidate, {**what, **salt, **lake})


def _tags(run: Run, task: str, price: float | None) -> list[dict[str, str]]:
    at_most = None if price is None else cost(price, run.settings.job_timeout)
    return tags(
        dataset=run.spec.name, partition=run.partition, run=run.run_id, task=task, cost=at_most
    )


def _image(run: Run, candidate: str) -> str:
    target = run.settings.aws_target()
    return image_of(run.spec.candidates[candidate].algorithm, target.region, target.images)


def _price(run: Run, kind: str, instance: str) -> float | None:
    target = run.settings.aws_target()
    return hourly(kind, instance, target.region, own=target.prices)


def _remote(
    run: Run, request: Request, send: Callable[[], None],
    collect: Callable[[Job, Status, Attempt], None],
) -> Remote:  # fmt: skip
    settings = run.settings
    return Remote(
        request, send, collect, settings.aws_connection, settings.aws_target().region,
        settings.poll_interval,
    )  # fmt: skip
