"""Steps: train a candidate, and let it predict the test rows; here or as a job."""

from __future__ import annotations

from millrace.jobs.work import Work
from millrace.lake import Attempt
from millrace.steps.run import Run, content_of
from millrace.steps.sagemaker import remote_training, remote_transform, where
from millrace.training import MODEL, train_arguments, train_locally, transform_locally, unpacked


def train(run: Run, candidate: str) -> Work:
    """Train one candidate on the train channel; publish model.tar.gz and output.tar.gz."""
    processed = run.processed()
    arguments = train_arguments(
        run.spec.candidates[candidate], run.spec.decision, run.spec.split.seed
    )

    def here(attempt: Attempt) -> None:
        for name in content_of(processed, "train/"):
            processed.path(name)
        channel = processed.path("train/train.csv").parent
        seconds = train_locally(
            channel, arguments, attempt.folder, timeout=run.settings.job_timeout
        )
        attempt.facts["seconds"] = round(seconds, 3)

    return Work(
        run.store, candidate, run.place("models", candidate),
        depends_on={
            "channel": content_of(processed, "train/"), "arguments": arguments,
            **where(run, candidate),
        },
        inputs={processed.uri: processed.manifest.content}, here=here,
        remote=remote_training(run, candidate, processed, arguments) if run.is_remote else None,
        again=run.again,
    )  # fmt: skip


def transform(run: Run, candidate: str) -> Work:
    """Batch predictions of one model on the test rows; publish `id,probability` lines."""
    processed = run.processed()
    model = run.published("models", candidate, "train")

    def here(attempt: Attempt) -> None:
        with unpacked(model.path(MODEL)) as folder:
            transform_locally(
                folder, processed.path("test/test.csv"), attempt.folder / "predictions.csv",
                timeout=run.settings.job_timeout,
            )  # fmt: skip
        attempt.facts["rows"] = processed.facts["rows"]["test"]

    return Work(
        run.store, candidate, run.place("predictions", candidate),
        depends_on={
            "model": model.manifest.content, "rows": content_of(processed, "test/test.csv"),
            **where(run, candidate),
        },
        inputs={model.uri: model.manifest.content, processed.uri: processed.manifest.content},
        here=here,
        remote=remote_transform(run, candidate, processed, model) if run.is_remote else None,
        again=run.again,
    )  # fmt: skip
