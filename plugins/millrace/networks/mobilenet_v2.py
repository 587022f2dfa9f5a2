"""MobileNetV2 as a list of layers under Keras' names, and its weights in Keras' form.

The architecture is that of Sandler et al., "MobileNetV2: Inverted Residuals and Linear
Bottlenecks" (CVPR 2018), table 2, at width 1.0, without the classifier. Weights are a dict from
`<layer>/<variable>` to an array, as Keras names and shapes them: convolutions have a `kernel` of
shape [3, 3, in, out] or [1, 1, in, out], depthwise ones [3, 3, in, 1], and batch normalisations
`gamma`, `beta`, `moving_mean` and `moving_variance` of shape [out].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from millrace.errors import MillraceError

NAME = "MobileNetV2"
SIZE = 224  # pixels, height and width of the input
WIDTH = 1280  # features
EPSILON = 1e-3  # of Keras' batch normalisations in this network
NORMALISATION = ("gamma", "beta", "moving_mean", "moving_variance")
BOTTLENECKS = (  # expansion, channels, repeats and the stride of the first, as the paper's table 2
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip

Weights = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Layer:
    """A convolution without bias, its batch normalisation and what follows them.

    Attributes:
        normalisation: name of the batch normalisation.
        depthwise: one filter a channel, instead of all channels in every filter.
        relu: whether ReLU6 follows; the last layer of a bottleneck is linear.
        opens: whether a block with a residual begins with this layer's input.
        closes: whether the residual is added to this layer's output.
        depth: how many residuals have been added to this layer's input.
    """

    name: str
    normalisation: str
    kernel: int
    stride: int
    inputs: int
    outputs: int
    depthwise: bool = False
    relu: bool = True
    opens: bool = False
    closes: bool = False
    depth: int = 0

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the kernel, as Keras has it."""
        return (self.kernel, self.kernel, self.inputs, 1 if self.depthwise else self.outputs)


def layers() -> list[Layer]:
    """The 52 convolutions, in order."""
    found = [Layer("Conv1", "bn_Conv1", 3, 2, 3, 32)]
    number, channels = 0, 32
    for expansion, outputs, repeats, stride in BOTTLENECKS:
        for repeat in range(repeats):
            prefix = f"block_{number}_" if number else "expanded_conv_"
            found += _bottleneck(
                prefix, channels, expansion, outputs, 1 if repeat else stride, depth=repeat - 1
            )
            number, channels = number + 1, outputs
    return [*found, Layer("Conv_1", "Conv_1_bn", 1, 1, channels, WIDTH)]


def _bottleneck(
    prefix: str, inputs: int, expansion: int, outputs: int, stride: int, depth: int
) -> Iterator[Layer]:
    """Expand, filter each channel, project; with a residual where shapes allow."""
    residual = stride == 1 and inputs == outputs
    hidden = inputs * expansion

    def layer(part: str, *sizes: int, **options: bool | int) -> Layer:
        return Layer(prefix + part, f"{prefix}{part}_BN", *sizes, **options)  # type: ignore[arg-type]

    if expansion > 1:
        yield layer("expand", 1, 1, inputs, hidden, opens=residual, depth=max(depth, 0))
    yield layer("depthwise", 3, stride, hidden, hidden, depthwise=True)
    yield layer("project", 1, 1, hidden, outputs, relu=False, closes=residual)


def check(weights: Weights) -> None:
    """Compare names and shapes with the architecture.

    Raises:
        MillraceError: arrays are missing or of another shape.
    """
    wanted = dict(_shapes())
    missing = sorted(wanted.keys() - weights.keys())
    if missing:
        raise MillraceError(
            f"the weights are not {NAME}'s: {len(missing)} of {len(wanted)} arrays are missing,"
            f" such as {missing[0]!r}; there is {', '.join(sorted(weights)[:3])} ..."
        )
    for name, shape in wanted.items():
        if weights[name].shape != shape:
            raise MillraceError(
                f"the weights are not {NAME}'s at width 1.0: {name!r} has the shape"
                f" {weights[name].shape}, not {shape}"
            )


def _shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    for layer in layers():
        yield f"{layer.name}/kernel", layer.shape
        for variable in NORMALISATION:
            yield f"{layer.normalisation}/{variable}", (layer.outputs,)


def folded(layer: Layer, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """Kernel [out, in, height, width] and bias [out] of a layer with its normalisation inside.

    Computed in double precision, returned in single.
    """
    gamma, beta, mean, variance = (
        weights[f"{layer.normalisation}/{variable}"].astype(np.float64)
        for variable in NORMALISATION
    )
    scale = gamma / np.sqrt(variance + EPSILON)
    kernel = weights[f"{layer.name}/kernel"].astype(np.float64)
    order = (2, 3, 0, 1) if layer.depthwise else (3, 2, 0, 1)
    kernel = kernel.transpose(order) * scale[:, None, None, None]
    return kernel.astype(np.float32), (beta - mean * scale).astype(np.float32)
