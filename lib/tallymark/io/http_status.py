"""Which answers of a server by HTTP may be others after a moment. Asked by whatever sends requests by `requests`."""

from __future__ import annotations


def may_pass(status: int) -> bool:
    """Tell whether to try again: 408, 429, and whatever is 500 or above.

    >>> [may_pass(status) for status in (200, 404, 408, 429, 500, 504)]
    [False, False, True, True, True, True]
    """
    return status >= 500 or status in {408, 429}
