"""Which precision a network runs in: the fastest whose features are those of single precision.

Features in another precision are compared with ONNX Runtime's in single precision on a sample of
the images, by their cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from network import Network, describe, features_of, runner
from storage import JobError

PRECISIONS = ("auto", "fp32", "bf16", "int8")
CLOSE = 0.999  # least cosine to single precision of a precision that is chosen by itself


@dataclass(frozen=True)
class Choice:
    """A network in the precision it will run in.

    Attributes:
        content: its ONNX file.
        width: features of an image.
        cosine: of its features to those in single precision, on a sample; {} when not compared.
    """

    content: bytes
    network: Network
    width: int
    cosine: dict[str, Any]


def choose(
    content: bytes, network: Network, precision: str, batch: int, pixels: Sequence[np.ndarray]
) -> Choice:
    """The network in the precision asked for, compared with single precision on a sample.

    "auto" is bf16 where the processor has it and every cosine of the sample is at least 0.999,
    else single precision (int8 for a network that is int8 already).

    Raises:
        JobError: the precision cannot be had here, or the network cannot be run on an image.
    """
    if network.made_int8 and precision not in ("auto", "int8"):
        raise JobError(f"{network.name} is an int8 network; --precision {precision} is not it")
    if precision == "bf16" and not has_bf16():
        raise JobError(
            "--precision bf16 needs OpenVINO and a processor with bf16 (lscpu names avx512_bf16"
            " or amx_bf16); use --precision auto"
        )
    blank = np.zeros((1, network.size, network.size, 3), np.uint8)
    seen = np.stack(pixels) if len(pixels) else blank
    single = replace(network, precision="int8" if network.made_int8 else "fp32")
    reference = _tried(content, single, batch, seen)
    as_given = Choice(content, single, reference.shape[1], {})
    if network.made_int8 or precision == "fp32":
        return as_given
    if precision == "auto" and not (len(pixels) and has_bf16()):
        return as_given
    if precision == "int8":
        from quantise import quantised

        content = quantised(content, network, pixels)
        chosen = replace(describe(content, network.name, network.scaling), precision="int8")
    else:
        chosen = replace(network, precision="bf16")
    close = cosines(reference, _tried(content, chosen, batch, seen))
    facts = {
        "minimum": float(close.min()), "mean": float(close.mean()), "images": len(close),
        "precision": chosen.precision,
    }  # fmt: skip
    if precision == "auto" and not close.min() >= CLOSE:
        return replace(as_given, cosine=facts)
    return Choice(content, chosen, reference.shape[1], facts)


def _tried(content: bytes, network: Network, batch: int, pixels: np.ndarray) -> np.ndarray:
    try:
        return features_of(runner(content, network, batch), pixels, batch)
    except JobError:
        raise
    except Exception as error:  # the runtimes' own exceptions share no base class
        reason = " ".join(str(error).split())[:200]
        raise JobError(f"{network.name} cannot be run on an image: {reason}") from error


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Cosine of each row of one array with the same row of the other: [n, width] -> [n]."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(axis=1) / np.where(lengths > 0, lengths, 1)


def has_bf16() -> bool:
    """Whether OpenVINO is here and this processor computes in bf16."""
    try:
        import openvino
    except ImportError:
        return False
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
