"""Makes records of ten columns, in eight files: `python benchmarks/bulkload/data.py FOLDER RECORDS`."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

FILES = 8
WORDS = ("도로 정비", "청사 관리", "급식 물품", "시설 보수", "정보 시스템")
COLUMNS = (
    ("id", "bigint"), ("name", "text"), ("office", "text"), ("price", "numeric(14,2)"), ("quantity", "integer"),
    ("opened", "timestamptz"), ("day", "date"), ("rate", "double precision"), ("urgent", "boolean"), ("note", "text"),
)  # fmt: skip


def main(folder: Path, records: int) -> None:
    rng = random.Random(20261102)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(FILES):
        with (folder / f"tenders-{number}.json").open("w", encoding="utf-8") as file:
            for at in range(number * records // FILES, (number + 1) * records // FILES):
                day = f"2026-10-{rng.randrange(1, 29):02}"
                one = {
                    "id": at,
                    "name": f"{rng.choice(WORDS)} {at}",
                    "office": f"조달청 {rng.randrange(300)}",
                    "price": rng.randrange(10**9) / 100,
                    "quantity": rng.randrange(10_000),
                    "opened": f"{day} {rng.randrange(24):02}:{rng.randrange(60):02}:00",
                    "day": day,
                    "rate": rng.random(),
                    "urgent": rng.random() < 0.1,
                    "note": None if at % 3 else 'a "quoted" note',
                }
                file.write(json.dumps(one, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
