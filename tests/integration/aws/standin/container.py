"""The inference container of one transform job, run as a script of its own.

    container.py <model folder> <code folder> <program> <file descriptor of the answers>

Loads the model, then answers requests from its standard input, as the inference toolkit of
SageMaker's framework containers does over HTTP. A frame is a line of JSON,
`{"length": n, "content_type": ..., "accept": ...}`, and n bytes; an answer is
`{"length": n, "status": ...}` and n bytes. Standard output and error are the container's log.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import traceback
from typing import Any, BinaryIO

TEXT = ("text/", "application/json", "application/jsonlines", "application/xml")


def load(code: str, program: str) -> Any:
    """The user's module."""
    sys.path.insert(0, code)
    name = program[:-3] if program.endswith(".py") else program
    spec = importlib.util.spec_from_file_location(name, os.path.join(code, name + ".py"))
    if spec is None or spec.loader is None:
        raise ImportError(f"{program} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def answer(module: Any, model: Any, body: bytes, content_type: str, accept: str) -> bytes:
    """What the user's functions make of one request."""
    data = body.decode("utf-8") if content_type.startswith(TEXT) else body
    if hasattr(module, "transform_fn"):
        said = module.transform_fn(model, data, content_type, accept)
    else:
        said = module.input_fn(data, content_type)
        said = module.predict_fn(said, model)
        said = module.output_fn(said, accept)
    if isinstance(said, tuple):
        said = said[0]
    return said.encode("utf-8") if isinstance(said, str) else bytes(said)


def main() -> None:
    model_folder, code, program, number = sys.argv[1:]
    module = load(code, program)
    model = module.model_fn(model_folder)
    requests = os.fdopen(os.dup(0), "rb")
    with os.fdopen(int(number), "wb") as answers:
        write(answers, {"status": 200}, b"")  # the container answers pings
        for line in requests:
            head = json.loads(line)
            body = requests.read(head["length"])
            try:
                said, status = (
                    answer(module, model, body, head["content_type"], head["accept"]),
                    200,
                )
            except Exception:
                traceback.print_exc()
                said, status = traceback.format_exc().encode("utf-8"), 500
            write(answers, {"status": status}, said)


def write(stream: BinaryIO, head: dict[str, Any], body: bytes) -> None:
    """One frame."""
    stream.write(json.dumps(dict(head, length=len(body))).encode("utf-8") + b"\n" + body)
    stream.flush()


if __name__ == "__main__":
    main()
