"""Tables that belong together: from CSV to typed Parquet, and queries over them with DuckDB."""
