"""What the images' own training and serving modules do, over the toolkits they are built from.

Runs inside a container's environment, so it imports nothing of the project. The modules themselves
(sagemaker_xgboost_container, sagemaker_sklearn_container) are in no package registry.
"""

from __future__ import annotations

import importlib
import json
import sys
from types import SimpleNamespace
from typing import Any


def train_xgboost() -> None:
    """The XGBoost image installs the source folder as a package and runs its module."""
    from sagemaker_containers.beta import framework

    job = framework.training_env()
    framework.modules.run_module(
        job.module_dir, job.to_cmd_args(), job.to_env_vars(), job.module_name
    )


def train_sklearn() -> None:
    """The scikit-learn image installs the requirements and runs the script."""
    from sagemaker_training import entry_point, environment

    job = environment.Environment()
    entry_point.run(job.module_dir, job.user_entry_point, job.to_cmd_args(), job.to_env_vars())


def answer_xgboost(model_dir: str, requests: list[dict[str, str]]) -> list[str]:
    """Answers of the inference toolkit, which the XGBoost image runs in its model server."""
    from sagemaker_inference.default_inference_handler import DefaultInferenceHandler
    from sagemaker_inference.transformer import Transformer

    transformer = Transformer(DefaultInferenceHandler())
    transformer.validate_and_initialize(model_dir)
    answers = []
    for request in requests:
        context = _Context(model_dir, request)
        [answer] = transformer.transform([{"body": request["body"].encode()}], context)
        answers.append(answer)
    return answers


class _Context:
    """What the model server tells the toolkit of a request."""

    def __init__(self, model_dir: str, request: dict[str, str]) -> None:
        headers = {"Content-Type": request["kind"], "Accept": request["accept"]}
        self.system_properties = {"model_dir": model_dir}
        self.request_processor = [SimpleNamespace(get_request_properties=lambda: headers)]

    def set_response_content_type(self, place: int, kind: str) -> None:
        """Where the model server would note the type of the answer."""

    def set_response_status(self, code: int, phrase: str) -> None:
        raise RuntimeError(f"the toolkit answers with the error {code} {phrase}")


def answer_sklearn(model_dir: str, requests: list[dict[str, str]]) -> list[str]:
    """Answers of the web application that the scikit-learn image runs."""
    from sagemaker_containers.beta.framework import transformer, worker

    user = importlib.import_module("inference")
    served = transformer.Transformer(user.model_fn, user.input_fn, user.predict_fn, user.output_fn)
    served._model = user.model_fn(model_dir)
    client = worker.Worker(served.transform, module_name="inference").test_client()
    answers = []
    for request in requests:
        headers = {"Content-Type": request["kind"], "Accept": request["accept"]}
        answer = client.post("/invocations", data=request["body"].encode(), headers=headers)
        if answer.status_code != 200:
            raise RuntimeError(f"the application answers {answer.status}: {answer.text}")
        answers.append(answer.text)
    return answers


def main() -> None:
    """Install the source archive as serving does, then answer what stands in standard input."""
    from sagemaker_containers.beta.framework import modules

    image, archive = sys.argv[1:]
    modules.import_module(archive, "inference")
    answer: Any = {"xgboost": answer_xgboost, "sklearn": answer_sklearn}[image]
    found = {model: answer(model, requests) for model, requests in json.load(sys.stdin).items()}
    print("ANSWERS" + json.dumps(found))


if __name__ == "__main__":
    main()
