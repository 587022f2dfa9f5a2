"""Write MobileNetV2 with random weights as ONNX: write_network.py <file>."""

import sys
from pathlib import Path

from millrace.networks.graph import onnx_bytes
from millrace.networks.random_weights import random_weights

Path(sys.argv[1]).write_bytes(onnx_bytes(random_weights(), "random (seed 0)"))
