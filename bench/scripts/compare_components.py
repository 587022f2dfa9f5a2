"""How near two sets of principal components are: compare_components.py <file> <file>.

Prints the largest differences, up to sign, of components and shares of the variance, as JSON.
"""

import json
import sys

import numpy as np

one, other = (np.load(path) for path in sys.argv[1:])
signs = np.sign((one["components"] * other["components"]).sum(axis=1, keepdims=True))
print(
    json.dumps(
        {
            "components": float(np.abs(one["components"] - signs * other["components"]).max()),
            "ratio": float(np.abs(one["ratio"] - other["ratio"]).max()),
        }
    )
)
