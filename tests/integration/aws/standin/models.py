"""Models of SageMaker: names for an archive, an image and the container's variables."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

from tests.integration.aws.standin.account import ACCOUNT
from tests.integration.aws.standin.answers import AwsError
from tests.integration.aws.standin.calls import Call
from tests.integration.aws.standin.inputs import PRINCIPAL, Inputs
from tests.integration.aws.standin.listing import page_of


class Models:
    """The models of the account.

    Args:
        tags: ARN to tags, of everything SageMaker has.
    """

    def __init__(self, inputs: Inputs, tags: dict[str, dict[str, str]]):
        self._inputs, self._tags = inputs, tags
        self._models: dict[tuple[str, str], dict[str, Any]] = {}
        self.operations: dict[str, Callable[[Call], dict[str, Any]]] = {
            "CreateModel": self._create, "DescribeModel": self._describe,
            "DeleteModel": self._delete, "ListModels": self._list,
        }  # fmt: skip

    def require(self, call: Call) -> dict[str, Any]:
        """A copy of the model that a call names.

        Raises:
            AwsError: there is none.
        """
        name = call.params["ModelName"]
        if (call.region, name) not in self._models:
            arn = f"arn:aws:sagemaker:{call.region}:{ACCOUNT}:model/{name}"
            raise AwsError("ValidationException", f'Could not find model "{arn}".')
        return copy.deepcopy(self._models[call.region, name])

    def _create(self, call: Call) -> dict[str, Any]:
        name = call.params["ModelName"]
        arn = f"arn:aws:sagemaker:{call.region}:{ACCOUNT}:model/{name.lower()}"
        if (call.region, name) in self._models:
            raise AwsError("ValidationException", f'Cannot create already existing model "{arn}".')
        role = call.params.get("ExecutionRoleArn", "")
        self._inputs.require_role(role, PRINCIPAL)
        if uri := call.params.get("PrimaryContainer", {}).get("ModelDataUrl"):
            self._inputs.require_model_data(uri, call.region, role)
        model = {key: value for key, value in call.params.items() if key != "Tags"}
        self._models[call.region, name] = {
            "EnableNetworkIsolation": False, **model, "ModelArn": arn, "CreationTime": time.time(),
        }  # fmt: skip
        self._tags[arn] = {tag["Key"]: tag["Value"] for tag in call.params.get("Tags", [])}
        return {"ModelArn": arn}

    def _describe(self, call: Call) -> dict[str, Any]:
        return self.require(call)

    def _delete(self, call: Call) -> dict[str, Any]:
        self._tags.pop(self.require(call)["ModelArn"], None)
        del self._models[call.region, call.params["ModelName"]]
        return {}

    def _list(self, call: Call) -> dict[str, Any]:
        found = [model for key, model in self._models.items() if key[0] == call.region]
        page = page_of(call, "Model", found, ("ModelName", "ModelArn", "CreationTime"))
        page["Models"] = page.pop("ModelSummaries")
        return page
