"""The story of the job where all is on gs://: from its conf file to its exit code, twice, and read without Spark."""

from __future__ import annotations

from pathlib import Path

from conftest import Submit
from gcs_server import GcsBucket
from tallymark.dashboard.reading import Folder

LINES = [b'{"id":%d,"site":"north"}\n' % n for n in range(100)]


def test_a_run_over_gs_is_remembered_by_the_next(submit: Submit, gcs: GcsBucket, tmp_path: Path) -> None:
    """`composed.json` is an object made of others: GCS keeps no MD5 of it, so nothing but its bytes prove it equal."""
    for side, last in (("source", 100), ("backup", 99)):
        gcs.put(f"{side}/day 1/same.json", b"".join(LINES[:50]))
        gcs.compose(f"{side}/day 1/composed.json", b"".join(LINES[50:60]), b"".join(LINES[60:80]))
        gcs.put(f"{side}/other.json", b"".join(LINES[80:last]))
    conf = tmp_path / "month.yaml"
    conf.write_text(f"source: {gcs.uri}/source\nbackup: {gcs.uri}/backup\nout: {gcs.uri}/out\nkey: [id]\n")
    gcs.store.put_file(conf, f"{gcs.uri}/conf/month.yaml")
    found = Folder(f"{gcs.uri}/out", gcs.direct)
    environment = {"STORAGE_EMULATOR_HOST": gcs.server.endpoint_url}
    proofs = {"first": ["compare", "identical", "compare"], "second": ["remembered"] * 3}

    for run, expected in proofs.items():
        ended = submit("reconcile", "--conf", f"{gcs.uri}/conf/month.yaml", "--run-id", run, **environment)

        assert ended.code == 1, ended.err
        assert ended.out.startswith("DIFFERENT: 99.00 % of 100 records match")
        files = found.rows(f"SELECT file_path, proof FROM files WHERE run_id = '{run}' ORDER BY file_path", "files")
        assert [row["proof"] for row in files] == expected
        (missing,) = found.rows(f"SELECT json_content FROM mismatches WHERE run_id = '{run}'", "mismatches")
        assert missing["json_content"] == '{"id":99,"site":"north"}'
        assert gcs.content(f"out/runs/{run}/repair/copy_again.txt") == b"other.json\n"
    assert "DIFFERENT" in gcs.content("out/report.html").decode()
