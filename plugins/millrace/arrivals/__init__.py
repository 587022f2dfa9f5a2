"""Starting a data set's pipeline when files arrive below `raw/`."""
