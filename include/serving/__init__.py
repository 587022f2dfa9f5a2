"""The model service: one application for the champions of all data sets."""
