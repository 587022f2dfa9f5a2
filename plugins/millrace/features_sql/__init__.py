"""Features that SQL makes: the queries of a folder, and what they say about themselves.

Each file is one query: a row for each subject that the table knows, the subject's key first, then
features. A feature ends in an alias and a comment that describes it.
"""

from millrace.features_sql.queries import (
    Query,
    QueryError,
    describe_features,
    queries_of,
    read_queries,
    sql_folder,
)
from millrace.features_sql.table import Feature, features_of, joined_query

__all__ = [
    "Feature",
    "Query",
    "QueryError",
    "describe_features",
    "features_of",
    "joined_query",
    "queries_of",
    "read_queries",
    "sql_folder",
]
