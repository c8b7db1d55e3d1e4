"""The account of a run: every extracted record is written, a duplicate or in quarantine, in total and for each hour."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from tallymark.errors import AccountingError
from tallymark.ingest.travelling import COUNTED, QUARANTINE_PLACE


@dataclass(frozen=True)
class HourAccount:
    """The counts of one hour: ``extracted = written + duplicates + conflicts``."""

    extracted: int
    written: int
    duplicates: int
    conflicts: int


@dataclass(frozen=True)
class Account:
    """The counts of a run; ``quarantined`` are the items of ``reasons``, conflicts among them."""

    extracted: int
    written: int
    duplicates: int
    quarantined: int
    reasons: Mapping[str, int]
    hours: Mapping[str, HourAccount]
    errors: tuple[tuple[str, str, str], ...] = field(default=())  # object, reason, detail

    @property
    def conflicts(self) -> int:
        return self.reasons.get("conflict", 0)

    @property
    def bad_percent(self) -> Decimal:
        """Percent of the records that could not be read; a conflict could."""
        return Decimal(100 * (self.quarantined - self.conflicts)) / max(1, self.extracted)

    def as_dict(self) -> dict[str, Any]:
        """Return all counts, ready for JSON."""
        return {**asdict(self), "conflicts": self.conflicts}


def add_up(merged: Iterable[Mapping[str, Any]]) -> Account:
    """Return the account of what the tasks have counted, rows of `MERGED`.

    Raises:
        AccountingError: what was decoded is not what was merged, or an hour does not add up or came twice.
    """
    extracted = 0
    reasons: Counter[str] = Counter()
    hours: dict[str, HourAccount] = {}
    errors: list[tuple[str, str, str]] = []
    for row in merged:
        note = json.loads(row["note"] or "{}")
        if row["place"] == COUNTED:
            extracted += note["extracted"]
            errors += (tuple(error) for error in note["errors"])
        elif row["place"] == QUARANTINE_PLACE:
            reasons.update(note)
        elif row["place"] in hours:
            raise AccountingError(f"{row['place']} was merged twice; nothing was committed, please report this")
        else:
            hours[row["place"]] = HourAccount(row["came"], row["rows"], row["duplicates"], row["conflicts"])
    account = Account(
        extracted=extracted,
        written=sum(hour.written for hour in hours.values()),
        duplicates=sum(hour.duplicates for hour in hours.values()),
        quarantined=sum(reasons.values()),
        reasons=dict(reasons),
        hours=hours,
        errors=tuple(errors),
    )
    _assert_equations(account)
    return account


def _assert_equations(account: Account) -> None:
    for place, hour in account.hours.items():
        if hour.extracted != hour.written + hour.duplicates + hour.conflicts:
            raise AccountingError(f"{place} does not add up: {hour}; nothing was committed, please report this")
    if account.conflicts != sum(hour.conflicts for hour in account.hours.values()):
        raise AccountingError("conflicts do not add up; nothing was committed, please report this")
    if account.extracted != account.written + account.duplicates + account.quarantined:
        raise AccountingError(
            f"extracted {account.extracted} is not written {account.written} + duplicates {account.duplicates} + "
            f"quarantined {account.quarantined}; nothing was committed, please report this"
        )
