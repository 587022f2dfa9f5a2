"""Image networks: MobileNetV2 as an ONNX file, and the file that a name stands for."""

from millrace.networks.network import MOBILENET_V2, Network, NetworkError, network_of

__all__ = ["MOBILENET_V2", "Network", "NetworkError", "network_of"]
