"""Steps: train a candidate, and let it predict the test rows."""

from __future__ import annotations

from millrace.lake import Attempt, publish
from millrace.steps.run import Run, content_of
from millrace.training import MODEL, train_arguments, train_locally, transform_locally, unpacked


def train(run: Run, candidate: str) -> str:
    """Train one candidate on the train channel; publish model.tar.gz and output.tar.gz.

    Raises:
        JobFailed: the training script failed; its last lines stand in the message.
    """
    processed = run.published("processed", "", "preprocess")
    arguments = train_arguments(
        run.spec.candidates[candidate], run.spec.decision, run.spec.split.seed
    )

    def build(attempt: Attempt) -> None:
        channel = processed.path("train/train.csv").parent
        processed.path("train/transformation.json")
        seconds = train_locally(
            channel, arguments, attempt.folder, timeout=run.settings.job_timeout
        )
        attempt.facts["seconds"] = round(seconds, 3)

    publish(
        run.store, run.place("models", candidate),
        depends_on={"channel": content_of(processed, "train/"), "arguments": arguments},
        inputs={processed.uri: processed.manifest.content}, build=build, again=run.again,
    )  # fmt: skip
    return candidate


def transform(run: Run, candidate: str) -> str:
    """Batch predictions of one model on the test rows; publish `id,probability` lines."""
    processed = run.published("processed", "", "preprocess")
    model = run.published("models", candidate, "train")

    def build(attempt: Attempt) -> None:
        with unpacked(model.path(MODEL)) as folder:
            transform_locally(
                folder, processed.path("test/test.csv"), attempt.folder / "predictions.csv",
                timeout=run.settings.job_timeout,
            )  # fmt: skip
        attempt.facts["rows"] = processed.facts["rows"]["test"]

    publish(
        run.store, run.place("predictions", candidate),
        depends_on={
            "model": model.manifest.content, "rows": content_of(processed, "test/test.csv"),
        },
        inputs={model.uri: model.manifest.content, processed.uri: processed.manifest.content},
        build=build, again=run.again,
    )  # fmt: skip
    return candidate
