"""What may be called how, for forms: light enough for the reading of DAG files."""

REQUEST = r"^[a-z][a-z0-9_-]{0,59}$"
"""Names of requests: no capitals, no digits first, so that few identifiers pass for one."""
