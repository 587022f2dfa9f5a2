"""Write sample rows: write_sample.py <data set> <folder> <rows>."""

import sys
from pathlib import Path

from millrace.samples import write_sample

write_sample(sys.argv[1], Path(sys.argv[2]), rows=int(sys.argv[3]))
