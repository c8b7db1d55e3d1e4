"""A lock on an output folder, on S3 or on local disk, that needs no database: the object ``lock.json`` in that folder.

It is made by a conditional write, renewed by others over the state known, and expires when its holder no longer renews
it; that of a process of this machine which has died is free at once. Every holder has a ``fence``, higher than that of
any earlier one; so the object stays when the lock is released, unless nobody asks for fences there. What a holder may
still write after it was overtaken is stopped by ``ObjectStore.put_file_if``, not here. The clocks of the machines may
differ by less than ``ttl_seconds``.
Called by whatever run must be alone on its output.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from tallymark.errors import LockedError, ObjectError, TallymarkError
from tallymark.io.objects import ObjectStore
from tallymark.io.stored import StoredObject, shown
from tallymark.io.uris import join
from tallymark.retry import RetryPolicy, call

LOCK = "lock.json"
_READS = RetryPolicy(attempts=5, base_seconds=0.05, cap_seconds=0.5)  # it may be renewed while it is read
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Holder:
    """What ``lock.json`` says: who holds the lock, as which process, and until when (seconds since 1970; 0: free).

    ``machine`` tells one boot of one machine, and in it one set of process numbers, from all others; a host name does
    not, containers share it.
    """

    owner: str
    host: str
    machine: str
    pid: int
    fence: int
    expires_at: float


class HeldLock:
    """The lock in the hands of its holder; made by ``hold_lock``."""

    def __init__(
        self, store: ObjectStore, uri: str, holder: Holder, state: str, ttl_seconds: float, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._uri = uri
        self._holder = holder
        self._state = state
        self._ttl = ttl_seconds
        self._clock = clock
        self._lost = False
        self._ended = threading.Event()
        self._renewer = threading.Thread(target=self._renew_until_ended, name="tallymark-lock", daemon=True)
        self._renewer.start()

    @property
    def fence(self) -> int:
        """The number of this holder; every later one has a higher number."""
        return self._holder.fence

    def check(self) -> None:
        """Do nothing while the lock is ours.

        Raises:
            LockedError: it was lost: overtaken, or not renewed in time by our own clock.
        """
        if self._lost or self._clock() >= self._holder.expires_at:
            self._lost = True  # for good: a lock that expired is not renewed
            raise LockedError(
                f"{shown(self._uri)} is no longer held by this run (fence {self.fence}): it was not renewed until "
                f"{_utc(self._holder.expires_at)}, or was taken over; see that no other run works, then run again"
            )

    def _renew_until_ended(self) -> None:
        while not self._ended.wait(self._ttl / 3):
            try:
                self.check()
                self._write(self._clock() + self._ttl)
            except LockedError:
                self._lost = True
                return
            except (TallymarkError, OSError) as error:
                _log.warning("the lock could not be renewed and will be tried again: %s", error)

    def _write(self, expires_at: float) -> None:
        holder = replace(self._holder, expires_at=expires_at)
        self._state = _put(self._store, self._uri, holder, self._state)
        self._holder = holder

    def release(self, *, stays: bool) -> None:
        """Let the next run in; what cannot be released expires."""
        self._ended.set()
        self._renewer.join()
        try:
            self.check()
            if stays:
                self._write(0)
            else:  # while it is ours, nobody else writes it
                self._store.delete_object(self._uri)
        except TallymarkError as error:
            _log.warning("the lock was not released: %s", error)


@contextmanager
def hold_lock(
    store: ObjectStore,
    out: str,
    owner: str,
    ttl_seconds: float = 60,
    clock: Callable[[], float] = time.time,
    *,
    stays: bool = True,
) -> Iterator[HeldLock]:
    """Hold the lock of the folder ``out``; it is renewed in the background, every third of its time.

    Args:
        owner: what people know this run by, such as its run id.
        ttl_seconds: how long after its last sign of life another run may take the lock over.
        clock: seconds since 1970, that of the wall: it must go on while the process or the machine sleeps.
        stays: False removes ``lock.json`` at the end; the next holder's fence begins at 1 again, so `check_fence` is
            not for such a folder.

    Raises:
        LockedError: another run holds it, or just took it; or ``lock.json`` is not a lock.
    """
    uri = join(out, LOCK)
    fence, known = _find_free(store, uri, clock())
    holder = Holder(owner, socket.gethostname(), _machine(), os.getpid(), fence, clock() + ttl_seconds)
    try:
        state = _put(store, uri, holder, known)
    except LockedError:
        _find_free(store, uri, clock())  # names the run that was quicker
        raise
    lock = HeldLock(store, uri, holder, state, ttl_seconds, clock)
    try:
        yield lock
    finally:
        lock.release(stays=stays)


def check_fence(store: ObjectStore, out: str, fence: int) -> None:
    """Do nothing while the lock of ``out`` is that of the holder with this fence; for tasks on other machines.

    Raises:
        LockedError: it was released or taken over.
    """
    uri = join(out, LOCK)
    _, holder = _read(store, uri)
    if holder is None or holder.fence != fence or not holder.expires_at:
        raise LockedError(f"{shown(uri)} is no longer held by this run (fence {fence}): see that no other run works")


def _find_free(store: ObjectStore, uri: str, now: float) -> tuple[int, str | None]:
    """Return the fence of the next holder and the state of the lock that it knows; raise if the lock is held."""
    found, holder = _read(store, uri)
    if found is None or holder is None:
        return 1, None
    if holder.expires_at > now and not _has_died(holder):
        raise _held_by_other(found, holder)
    return holder.fence + 1, found.state


def _read(store: ObjectStore, uri: str) -> tuple[StoredObject | None, Holder | None]:
    def read() -> tuple[StoredObject | None, bytes]:
        found = store.stat(uri)
        return found, b"".join(store.read_chunks(found)) if found else b""

    found, said = call(read, _READS, _is_renewed)
    try:
        return found, msgspec.json.decode(said, type=Holder) if found else None
    except ValueError:
        advice = "if no run works on this output, remove it"
        raise LockedError(f"{shown(uri)} is not a lock that this version knows: {advice}") from None


def _is_renewed(error: BaseException) -> bool:
    """Tell whether the lock was renewed or removed between the look at it and the reading."""
    return isinstance(error, ObjectError) and error.reason in {"CHANGED_DURING_RUN", "DELETED_DURING_RUN"}


def _put(store: ObjectStore, uri: str, holder: Holder, state: str | None) -> str:
    with TemporaryDirectory(prefix="tallymark-lock-") as folder:
        source = Path(folder, LOCK)
        source.write_bytes(msgspec.json.encode(holder))
        return store.put_file_if(source, uri, state)


def _machine() -> str:
    """Return what two processes have in common if each sees whether the other lives; Linux only, elsewhere nothing."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    return ""


def _has_died(holder: Holder) -> bool:
    """Tell whether the holder was a process of this machine that is no more: its lock need not expire."""
    if not holder.machine or holder.machine != _machine():
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _held_by_other(found: StoredObject, holder: Holder) -> LockedError:
    who = f"{holder.owner} (process {holder.pid} on {holder.host}, fence {holder.fence})"
    when = f"last renewed {_utc(found.modified_ns / 1e9)}, valid until {_utc(holder.expires_at)}"
    advice = "wait for its end, or, if that process is dead, until then: the next run takes the lock over"
    return LockedError(f"{shown(found.uri)} is held by {who}, {when}: {advice}")


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
