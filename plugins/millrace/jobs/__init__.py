"""Work that runs outside the worker."""
