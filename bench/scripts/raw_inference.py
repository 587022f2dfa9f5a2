"""How fast one thread runs the image job's network, and nothing else, in every precision.

raw_inference.py <network> <folder of images> <images at once>

Prints JSON: for each precision images a second and a CPU second, and the cosine of its features
to single precision.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "include" / "spark"))

from dataclasses import replace
from statistics import median

from images import Limits, decode
from network import describe, features_of, runner
from precision import cosines, has_bf16
from quantise import quantised

COUNT, ROUNDS = 128, 5
CALIBRATION = 64  # as many more images as the job calibrates int8 on
path, folder, batch = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

content = path.read_bytes()
network = describe(content, path.name)
files = sorted(folder.rglob("*.jpg"))
files = files[:: max(len(files) // (COUNT + CALIBRATION), 1)][: COUNT + CALIBRATION]
pixels = np.empty((len(files), network.size, network.size, 3), np.uint8)
for file, target in zip(files, pixels, strict=True):
    decode(file.read_bytes(), target, Limits())
measured, calibration = pixels[:COUNT], pixels[COUNT:] if len(pixels) > COUNT else pixels

precisions = ["fp32", *(["bf16"] if has_bf16() else [])]
runs = {name: runner(content, replace(network, precision=name), batch) for name in precisions}
small = quantised(content, network, list(calibration))
runs["int8"] = runner(small, replace(describe(small, path.name), precision="int8"), batch)
reference = features_of(runs["fp32"], measured, batch)

seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
for _ in range(ROUNDS):
    for name, run in runs.items():
        started, busy = time.perf_counter(), time.process_time()
        features_of(run, measured, batch)
        seconds[name].append((time.perf_counter() - started, time.process_time() - busy))
found = {}
for name, run in runs.items():
    close = cosines(reference, features_of(run, measured, batch))
    wall, cpu = (median(each) for each in zip(*seconds[name], strict=True))
    found[name] = {
        "rate": len(measured) / wall,
        "cpu_rate": len(measured) / cpu,
        "minimum": float(close.min()),
        "mean": float(close.mean()),
    }
print(json.dumps(found))
