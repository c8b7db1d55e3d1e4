"""The run that `setup.sh classes` records: the JVM loads what a job loads. Leaves nothing behind, contacts no server.

It is the job itself, on two files: what it does not do, later starts load slowly. A second run of the same name takes
the ways that replace rows.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tallymark import reconcile
from tallymark.io.session import spark_session


def main() -> int:
    spark = spark_session("tallymark-warm-up")
    with tempfile.TemporaryDirectory() as folder:
        for side, speed in (("source", 1), ("backup", 2)):
            (Path(folder) / side).mkdir()
            (Path(folder) / side / "a.json").write_text(f'{{"id":1,"speed":{speed}}}\n{{"id":2}}\n')
        for _ in range(2):
            reconcile(
                spark, source=f"{folder}/source", backup=f"{folder}/backup", out=f"{folder}/out", run_id="warm-up"
            )
    hadoop = spark.sparkContext._jvm.org.apache.hadoop.fs  # type: ignore[union-attr]
    hadoop.FileSystem.getFileSystemClass("s3a", spark.sparkContext._jsc.hadoopConfiguration())
    java = spark.sparkContext._gateway.proc  # type: ignore[union-attr]
    spark.stop()
    # Java writes the archive when it exits, which is later than Python unless Python waits.
    java.stdin.close()
    # An archive that was cut short would crash every later start.
    return int(java.wait())


if __name__ == "__main__":
    sys.exit(main())
