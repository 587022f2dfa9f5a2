"""The demo: every pipeline once, through the real scheduler."""
