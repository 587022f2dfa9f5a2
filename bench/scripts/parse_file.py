"""Parse one DAG file as the child process of Airflow's DAG processor does; prints the seconds.

    parse_file.py <DAG file> <number of DAGs it must hold>

The processor has imported Airflow before it forks, and imports the Airflow modules that the file
names; the time is what is left to do for the file.
"""

import sys
import time
from pathlib import Path

import structlog
from airflow.dag_processing import processor
from airflow.dag_processing.processor import DagFileParseRequest

path, expected = Path(sys.argv[1]).resolve(), int(sys.argv[2])
log = structlog.get_logger()
request = DagFileParseRequest(
    file=str(path), bundle_path=path.parent, bundle_name="bench", callback_requests=[]
)
processor._pre_import_airflow_modules(str(path), log)
started = time.perf_counter()
result = processor._parse_file(request, log)
seconds = time.perf_counter() - started
if result is None or result.import_errors or len(result.serialized_dags) != expected:
    sys.exit(f"{path}: wanted {expected} DAGs, got {result}")
sys.stdout.write(f"\n{seconds}\n")
