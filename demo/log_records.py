"""What the log API of the demo ever logged: records, good and bad, as encrypted items. All of it follows from the seed.

How they are handed out, over HTTP or in files, is in `log_api.py`.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, cached_property
from random import Random
from typing import Any

from cryptography.fernet import Fernet

HOUR = timedelta(hours=1)
METHODS = ("GET", "GET", "GET", "POST", "POST", "PUT", "DELETE")
URLS = ("/api/products/product/",) * 6 + ("/api/products/product/4711", "/api/cart?q=gr%C3%BCn", "/api/größe/{id}")

# What a good key opens and no record is in: each must end in the quarantine.
HOSTILE = (
    b"__import__('os').system('touch HACKED')",
    b"{'user_id': __import__('os').getcwd()}",
    b"[" * 100_000,
    b"9" * 5_000,
    b"[1",
    b"",
    b"\xff\xfe{}",
    b'"\\ud800"',
    b'{"user_id": NaN, "record_id": 1, "record_id": 2}',
    b"{'user_id': 'x', 'record_id': 'y'}",
    b'{"user_id": null, "record_id": {}, "method": 1, "url": [], "inDate": "23:59:60"}',
)


@dataclass(frozen=True)
class Item:
    """One entry of an answer; ``hour`` is the event hour of a good record, None of a bad one."""

    text: str
    hour: str | None
    logged: datetime


@dataclass(frozen=True)
class Logs:
    """What was ever logged, for a seed: the same records and tokens every time."""

    seed: int
    keys: tuple[str, ...]
    bad: float

    @cached_property
    def _fernets(self) -> list[Fernet]:
        return [Fernet(key) for key in self.keys]

    @cached_property
    def _users(self) -> list[str]:
        rng = Random(f"users {self.seed}")
        return [rng.randbytes(32).hex() for _ in range(20)]

    @cached_property
    def _lost(self) -> Fernet:
        return Fernet(new_key(Random(f"lost key {self.seed}")))

    def items(self, rng: Random, start: datetime, span: timedelta, count: int) -> Iterator[Item]:
        """Yield items logged from ``start`` on, in order; of every 50 good records one is hours late."""
        for number in range(count):
            logged = start + span * ((number + rng.random()) / count)
            if rng.random() < self.bad:
                yield Item(self._bad(rng, logged), None, logged)
                continue
            event = logged - HOUR * rng.randint(1, 6) if rng.random() < 0.02 else logged
            fernet = self._fernets[-1 if rng.random() < 0.2 else 0]
            text = self._item(rng, self._record(rng, event), logged, fernet)
            yield Item(text, f"{event:%Y-%m-%dT%H}", logged)

    def _record(self, rng: Random, event: datetime) -> bytes:
        record: dict[str, Any] = {
            "user_id": rng.choice(self._users),
            "record_id": rng.randbytes(16).hex(),
            "method": rng.choice(METHODS),
            "url": rng.choice(URLS),
            "inDate": event.strftime("%Y-%m-%dT%H:%M:%S.%f") + ("Z" if rng.random() < 0.01 else ""),
        }
        if rng.random() < 0.05:
            record |= {"status": rng.choice([200, 404, 500]), "agent": None, "tags": ["a", 'b"\n', "ü"], "slow": True}
        return (repr(record) if rng.random() < 0.5 else json.dumps(record)).encode()

    def _bad(self, rng: Random, logged: datetime) -> str:
        token = self._item(rng, self._record(rng, logged), logged, self._fernets[0])
        return rng.choice(
            [
                self._item(rng, rng.choice(HOSTILE), logged, self._fernets[0]),
                self._item(rng, self._record(rng, logged), logged, self._lost),
                token[:90] + token[110:],
                token[:60] + ("A" if token[60] != "A" else "B") + token[61:],
                rng.choice(['{"data": null}', '{"data": ""}', '{"data": "é"}', '{"date": "x"}', '{"data": 7}']),
            ]
        )

    @staticmethod
    def _item(rng: Random, plain: bytes, logged: datetime, fernet: Fernet) -> str:
        # Not public, but only this takes the random bytes from outside: the same seed makes the same tokens.
        token: bytes = fernet._encrypt_from_parts(plain, int(logged.timestamp()), rng.randbytes(16))
        return f'{{"data": "{token.decode()}"}}'

    @cache  # noqa: B019 - one per process
    def hour(self, start: datetime) -> list[Item]:
        """Return what was logged in the hour from ``start`` on."""
        rng = Random(f"{self.seed} {start.isoformat()}")
        return list(self.items(rng, start, HOUR, rng.randint(1_000, 2_000)))

    def window(self, start: datetime, end: datetime) -> list[Item]:
        """Return what was logged from ``start`` on and before ``end``."""
        hour, found = start.replace(minute=0, second=0, microsecond=0), list[Item]()
        while hour < end:
            found += [item for item in self.hour(hour) if start <= item.logged < end]
            hour += HOUR
        return found


def array(items: list[Item]) -> bytes:
    return ("[" + ",\n".join(item.text for item in items) + "]").encode()


def new_key(rng: Random) -> str:
    return urlsafe_b64encode(rng.randbytes(32)).decode()
