"""What a run of `ingest` came to: the typed result, and the lines that people read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tallymark.ingest.account import Account


@dataclass(frozen=True)
class IngestResult:
    """One run; ``status`` is a word of `ingest.tables`."""

    run_id: str
    source: str
    status: str
    account: Account
    watermark: str | None
    published_objects: int
    exit_code: int

    @property
    def equation(self) -> str:
        account = self.account
        return (
            f"extracted {account.extracted:,} = written {account.written:,} + duplicates {account.duplicates:,} "
            f"+ quarantined {account.quarantined:,}"
        )

    def lines(self) -> Iterator[str]:
        """Yield the summary, a line at a time."""
        account = self.account
        yield f"{self.status}: run {self.run_id} of {self.source}"
        yield f"  {self.equation}"
        for reason, count in sorted(account.reasons.items()):
            yield f"    {reason}: {count:,}"
        for uri, reason, detail in account.errors[:10]:
            yield f"  not read to its end: {reason} on {uri}: {detail}"
        if len(account.errors) > 10:
            yield f"  and {len(account.errors) - 10:,} more objects"
        yield f"  hours touched {len(account.hours):,}, objects published {self.published_objects:,}"
        if self.watermark:
            yield f"  watermark {self.watermark}"
