"""Sensors on a partition's raw files, one for each kind of lake."""
