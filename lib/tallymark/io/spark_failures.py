"""Why Spark stopped, where that is no defect of a job: its processes can be killed, and its disk can be full.

Knows no job. Called where the exit code of a job is made. Spark's own message is not quoted: it may hold a record.
"""

from __future__ import annotations

from collections.abc import Iterator

_MEMORY = "perhaps for want of memory, which the log of the system tells"
_WORKER = (
    f"a Python worker of Spark was killed, {_MEMORY}; run again, with fewer cores (--master 'local[1]') or on a larger "
    "machine"
)
_DISK = "Spark has no space left for its own files; free some, or name another folder by SPARK_LOCAL_DIRS"
_REASONS = {"Python worker exited unexpectedly": _WORKER, "No space left on device": _DISK}
_JAVA = (
    f"Spark's Java process has ended, killed {_MEMORY}; run again, with more of it (--driver-memory 4g before the name "
    "of the job) or on a larger machine"
)


def why_spark_stopped(error: BaseException) -> str | None:
    """Returns the cause and the next step, or None for any other error, and where a task has told it.

    Args:
        error: what reached the top; Spark's may be what it came from.
    """
    from py4j.protocol import Py4JError, Py4JNetworkError
    from pyspark.errors import PySparkException

    for one in _chain(error):
        if isinstance(one, Py4JNetworkError):
            return _JAVA
        if isinstance(one, Py4JError | PySparkException):
            text = str(one)
            if told_by_task(one) is not None:
                return None
            for sign, reason in _REASONS.items():
                if sign in text:
                    return reason
    return None


def told_by_task(error: BaseException) -> str | None:
    """Returns what an error of ours says that ended a task, out of the trace that Spark made of it; else None."""
    lines = [line for line in str(error).splitlines() if line.startswith("tallymark.errors.")]
    return lines[0].partition(": ")[2] if lines else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
