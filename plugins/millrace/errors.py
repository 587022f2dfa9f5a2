"""The error that a retry cannot cure."""


class MillraceError(ValueError):
    """Something must be changed before this can work; the message says what.

    Tasks that raise it fail at once: the retry policy of the DAGs knows it.
    """
