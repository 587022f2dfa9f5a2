"""Write the sample of Home Credit: write_home_credit.py <folder> <scale>"""

import sys
from pathlib import Path

from millrace.samples import home_credit

home_credit.write(Path(sys.argv[1]), scale=float(sys.argv[2]))
