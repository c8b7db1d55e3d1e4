"""Makes the sample data of `make demo-bulkload`: public tenders in three kinds of file, with what goes wrong in them.

    python demo/bulkload_data.py FOLDER [RECORDS]

writes RECORDS (default 245,000) records of works, services and goods as JSON Lines, JSON arrays and gzip, with Korean
text, quotes, newlines, nulls, U+0000, numbers that no column holds, and duplicates; prints what is wrong with them.
"""

from __future__ import annotations

import gzip
import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

Record = dict[str, Any]

KINDS = ("CNSTWK", "SERVC", "THNG")
FILES = 4  # of each kind
EVERY = 5_000  # so many records hold one of each fault
WORKS = (
    "도로 정비 공사",
    "청사 유지보수 용역",
    "정보시스템 운영",
    "학교 급식 물품",
    '"긴급" 하수관로\n정비',
    "C:\\자료\t이관",
)
OFFICES = ("조달청", "서울특별시", "부산광역시 해운대구", "한국도로공사", "제주특별자치도교육청")


def record(rng: random.Random, kind: str, number: int) -> Record:
    day, hour, minute = rng.randrange(1, 29), rng.randrange(24), rng.randrange(60)
    return {
        "bidNtceNo": f"2026{KINDS.index(kind)}{number:07}",
        "bidNtceOrd": f"{rng.randrange(3):02}",
        "bidNtceNm": f"{rng.choice(WORKS)} {number}",
        "ntceInsttNm": rng.choice(OFFICES),
        "dminsttNm": rng.choice(OFFICES) if number % 7 else None,
        "presmptPrce": f"{rng.randrange(10**6, 10**10)}" if number % 11 else "",
        "bidNtceDt": f"2026-10-{day:02} {hour:02}:{minute:02}:00",
        "opengDt": f"2026-11-{day:02} 10:00:00",
        "cntrctCnclsMthdNm": rng.choice(["제한경쟁", "일반경쟁", "수의계약"]),
        "bidNtceDtl": {"url": f"https://example.org/{number}", "files": rng.randrange(5), "note": '그는 "네"라고 했다'},
    }


def faulty(records: list[Record]) -> dict[str, int]:
    """Puts a fault of each kind into every EVERY records; returns how many of each."""
    counts = {"U+0000 in a name": 0, "price that is too long": 0, "duplicate": 0, "other content under a taken key": 0}
    for start in range(0, len(records) - 10, EVERY):
        records[start]["bidNtceNm"] += "\0"
        records[start + 2]["presmptPrce"] = "9" * 40
        records[start + 4] = dict(records[start + 5])
        records[start + 6] = records[start + 7] | {"ntceInsttNm": "다른 기관"}
        for fault in counts:
            counts[fault] += 1
    return counts


def written(records: list[Record], number: int) -> bytes:
    """Returns the records as an array in every second file, else as JSON Lines with a broken last line."""
    if number % 2:
        return json.dumps(records, ensure_ascii=False, indent=1).encode()
    lines = [json.dumps(item, ensure_ascii=number % 4 == 0).encode() for item in records]
    return b"\n".join([*lines, b'{"bidNtceNo": "cut'])


def main(target: Path, total: int) -> None:
    rng = random.Random(20261101)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    counts: dict[str, int] = {"broken last line": 0}
    names = [(kind, number) for number in range(FILES) for kind in KINDS]
    broken = sum(number % 2 == 0 for _, number in names)
    sizes = [(total - broken) // len(names)] * len(names)
    sizes[0] += (total - broken) % len(names)
    for (kind, number), size in zip(names, sizes):
        records = [record(rng, kind, number * total + at) for at in range(size)]
        for fault, count in faulty(records).items():
            counts[fault] = counts.get(fault, 0) + count
        counts["broken last line"] += number % 2 == 0
        ending = ".json.gz" if number == FILES - 1 else ".json"
        content = written(records, number)
        path = target / f"BidPublicInfoService_BID_{kind}_202610{number + 1:02}{ending}"
        path.write_bytes(gzip.compress(content, 1, mtime=0) if ending.endswith("gz") else content)
    print(f"{total:,} records in {len(names)} files below {target}:")
    for fault, count in counts.items():
        print(f"  - {count:,} x {fault}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 245_000)
