"""The pages, run by Streamlit's own test driver: what they say of good, missing, broken and foreign tables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import dashboard_tables as tables
from s3_server import Bucket
from tallymark.columns import arrow_schema
from tallymark.export import tables as export
from tallymark.io.delta_rs import storage_options
from tallymark.reconcile.tables import FILES, RUNS

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "lib")}
JOBS = ("reconcile", "ingest", "bulkload", "export")


def script(name: str, uris: list[str], now: str) -> None:
    import importlib
    import os
    from datetime import datetime

    from tallymark.dashboard.reading import Folder
    from tallymark.io.objects import ObjectStore

    store = ObjectStore.from_environment(os.environ)
    more = [lambda: datetime.fromisoformat(now)] if name == "bulkload" else []
    importlib.import_module(f"tallymark.dashboard.{name}").show([Folder(uri, store) for uri in uris], *more)


def opened(name: str, *uris: object, now: str = "2026-11-04T00:00:11+00:00", **query: str) -> AppTest:
    """Open a page as a link with this query would."""
    page = AppTest.from_function(script, args=(name, [str(uri) for uri in uris], now), default_timeout=30)
    for key, value in query.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception
    return page


def words(page: AppTest) -> str:
    """Return everything that stands on the page in words, without the marks of Markdown."""
    boxes = (*page.success, *page.warning, *page.error, *page.info)
    found = [f"{box.icon} {box.value}" for box in boxes]
    found += [str(element.value) for element in (*page.title, *page.caption, *page.markdown)]
    found += [f"{metric.label}: {metric.value}" for metric in page.metric]
    found += [str(code.value) for code in page.code]
    found += [frame.value.to_csv(index=False) for frame in page.dataframe]
    return "\n".join(found).replace("\\", "")


def test_a_recheck_is_named_so_and_is_no_point_of_the_trend(tmp_path: Path) -> None:
    """It speaks of a part: beside the whole its rate would be a peak or a dip that means nothing."""
    tables.reconcile_out(str(tmp_path))
    recheck = {"run_id": "again", "run_time": "2026-11-04T00:00:00+00:00", "status": "COMPLETE", "files": 1}
    recheck |= {"verdict": "PARTIAL_MATCH", "source": "s3://a/month", "backup": "s3://b/month", "source_records": 7}
    recheck |= {"matched_records": 7, "settings": '{"only_failed_from":"second"}', "match_rate": 100.0}
    tables.write(str(tmp_path), "runs", arrow_schema(RUNS), [recheck])

    account = "7 of 7 records of the source are in the backup (a re-check: only of files that had failed)"
    assert account in words(opened("overview", tmp_path))
    trend = opened("reconcile", tmp_path, run="second", tab="Trend")
    assert list(trend.dataframe[0].value["verdict"]) == ["INCOMPLETE", "MATCH"]


def test_a_run_of_reconcile_shows_its_verdict_its_equations_and_its_errors(outs: dict[str, Path]) -> None:
    said = words(opened("reconcile", outs["reconcile"], run="second"))

    assert "✖ INCOMPLETE: 99.5049 % of the records match; 1 file could not be compared" in said
    assert "✔ source 1,010 = matched 1,005 + changed 3 + moved out 0 + missing in backup 2" in said
    assert "✔ backup 1,008 = matched 1,005 + changed 3 + moved in 0 + missing in source 0" in said
    assert "day=2/cut.json.gz,TRUNCATED_GZIP after 12 bytes" in said
    assert "the clock of a node is wrong" in said
    assert "Bytes in source: 27.8 MB" in said


def test_a_run_that_its_rules_refused_is_called_so() -> None:
    from tallymark.dashboard.reconcile import verdict

    said = [verdict({"verdict": None, "status": status}) for status in ("REFUSED", "INCOMPLETE")]
    assert said == ["REFUSED", "UNFINISHED"]
    assert verdict({"verdict": "MATCH", "status": "COMPLETE"}) == "MATCH"


def test_the_newest_run_is_shown_first_and_nothing_of_a_killed_run_counts(outs: dict[str, Path]) -> None:
    page = opened("reconcile", outs["reconcile"])

    assert page.sidebar.selectbox(key="run").value == "third"
    assert "… UNFINISHED" in words(page)
    assert not page.dataframe
    assert not page.metric


def test_an_equation_that_does_not_hold_is_an_error_on_the_page(tmp_path: Path) -> None:
    run = {"run_id": "x", "run_time": "2026-11-01T00:00:00+00:00", "verdict": "MATCH", "source_records": 5}
    tables.write(str(tmp_path), "runs", arrow_schema(RUNS), [{**run, "matched_records": 4}])
    tables.write(str(tmp_path), "files", arrow_schema(FILES), [])

    assert "✖ source 5 ≠ matched 4" in words(opened("reconcile", tmp_path))


def test_files_are_found_by_status_and_by_any_characters_of_their_path(outs: dict[str, Path]) -> None:
    page = opened("reconcile", outs["reconcile"], run="second")
    listed = page.dataframe[1].value

    assert list(listed["file_path"]) == ["day=2/cut.json.gz", "day=1/50%_'off'.json", "day=1/same.json"]

    page.text_input[0].input("%_'off'").run()
    assert list(page.dataframe[1].value["file_path"]) == ["day=1/50%_'off'.json"]

    page.text_input[0].input("").run()
    page.multiselect[0].select("MATCH").run()
    assert list(page.dataframe[1].value["file_path"]) == ["day=1/same.json"]


def test_contents_of_records_are_shown_only_when_chosen_and_masked_values_stay_masked(outs: dict[str, Path]) -> None:
    page = opened("reconcile", outs["reconcile"], run="second", tab="Mismatches")

    assert "a secret of the record" not in words(page)
    assert not page.code

    contents = next(box for box in page.selectbox if box.label == "Show the content of a record")
    changed = next(option for option in contents.options if "bbbbbbbbbbbb" in option)
    contents.select(changed).run()
    assert [code.value for code in page.code] == [
        '{"id":"b","speed":1,"name":"***"}',
        '{"id":"b","speed":2,"name":"***"}',
    ]


def test_a_run_of_ingest_shows_its_equation_and_no_token(outs: dict[str, Path]) -> None:
    said = words(opened("ingest", outs["ingest"]))

    assert "✔ COMPLETE: everything that was extracted is accounted for" in said
    assert "✔ extracted 9 = written 5 + duplicates 1 + quarantined 3" in said
    assert "decrypt,unknown_key,2,2,a" in said
    assert "validate,bad_time,1,1,a" in said
    assert "gAAA-a-token" not in said
    assert "a-user" not in said


def test_a_refused_run_of_ingest_says_that_nothing_was_written(outs: dict[str, Path]) -> None:
    said = words(opened("ingest", outs["ingest"], run="bad"))

    assert "✖ REFUSED: more records were bad than the budget allows: nothing was written" in said
    assert "TRUNCATED on in/x.json: write it again" in said
    assert "extracted 9" not in said


def test_a_running_bulkload_shows_how_far_it_is(outs: dict[str, Path]) -> None:
    said = words(opened("bulkload", outs["bulkload"]))

    assert "… RUNNING: the job works" in said
    assert "Records: 1,200" in said
    assert "Now at part-3.json, last update 2026-11-04 00:00:10" in said


def test_a_bulkload_that_says_nothing_any_more_is_reported_as_silent(outs: dict[str, Path]) -> None:
    said = words(opened("bulkload", outs["bulkload"], now="2026-11-04T00:02:10+00:00"))

    assert "▲ No sign of life for 120 s: the job may have been killed." in said
    assert "RUNNING" not in said


def test_the_first_bulkload_of_a_folder_is_seen_before_it_has_a_table(tmp_path: Path) -> None:
    tables.progress(str(tmp_path), status="failed", errors=["part-1.json: the disk is full"])

    said = words(opened("bulkload", tmp_path))
    assert "✖ FAILED" in said
    assert "part-1.json: the disk is full" in said
    assert "holds no table bulkload_cells yet" in said


def test_a_failed_cell_is_reported_and_never_ranked(outs: dict[str, Path]) -> None:
    said = words(opened("bulkload", outs["bulkload"]))
    assert "✖ 1 cell failed; failed cells are never ranked." in said
    assert "copy_text,1000,50,1,53300,too many connections" in said

    said = words(opened("bulkload", outs["bulkload"], tab="Comparison"))
    assert "Rows/s: 3,000" in said
    assert "Of the roofline: 38 %" in said


def test_a_bulkload_whose_cells_all_failed_has_nothing_to_compare(outs: dict[str, Path]) -> None:
    comparison, analysis = (
        words(opened("bulkload", outs["bulkload"], run="lost", tab=tab)) for tab in ("Comparison", "Analysis")
    )
    assert "No cell of this run succeeded, so there is nothing to compare." in comparison
    assert "no batch of this run was committed" in analysis


def test_emulated_figures_say_so(outs: dict[str, Path]) -> None:
    assert "These figures are emulated" in words(opened("bulkload", outs["bulkload"], run="emulated", tab="Comparison"))
    assert "emulated" not in words(opened("bulkload", outs["bulkload"], run="base", tab="Comparison"))


def test_a_run_is_compared_with_a_baseline_cell_by_cell(outs: dict[str, Path]) -> None:
    page = opened("bulkload", outs["bulkload"], tab="Comparison")
    baseline = next(box for box in page.selectbox if box.label == "Compare with the baseline run")
    baseline.select("base").run()

    said = words(page)
    assert "3 cells were measured in both" in said
    assert "copy_text,1000,1,3000,4000,-25.0,✖ SLOWER" in said
    assert "copy_text,100,1,1000,1000,0.0,✔ OK" in said


def test_batches_are_summed_up_per_table_and_per_connection(outs: dict[str, Path]) -> None:
    said = words(opened("bulkload", outs["bulkload"], tab="Analysis"))

    assert "'=things(),3,300,0,0.01," in said
    assert "\n7,3,300,0,0.01," in said


def test_an_export_shows_what_was_proven(outs: dict[str, Path]) -> None:
    said = words(opened("export", outs["export"]))

    assert "✔ VERIFIED" in said
    assert "✔ rows in the snapshot 300 = rows in the files 300" in said
    assert "Peak memory: 43.5 MB" in said
    assert "tls: yes" in said


def test_an_export_without_a_snapshot_claims_no_equation(outs: dict[str, Path]) -> None:
    said = words(opened("export", outs["export"], run="loose"))

    assert "▲ NOT VERIFIED" in said
    assert "there was no one snapshot, so there is no equation" in said
    assert "rows may have changed in between" in said


def test_an_export_that_lacks_rows_is_an_error(outs: dict[str, Path]) -> None:
    said = words(opened("export", outs["export"], run="short"))

    assert "✖ ROWS DIFFER" in said
    assert "✖ rows in the snapshot 300 ≠ rows in the files 299" in said


def test_keys_of_exported_rows_are_shown_only_when_asked_for(outs: dict[str, Path]) -> None:
    page = opened("export", outs["export"])

    assert "a key of a row" not in words(page)

    page.toggle[0].set_value(True).run()
    assert "a key of a row" in words(page)


def test_the_overview_shows_the_newest_run_of_each_job(outs: dict[str, Path]) -> None:
    said = words(opened("overview", *(outs[name] for name in JOBS)))

    assert "… UNFINISHED, 2026-11-03 00:00:00" in said
    assert "9 extracted: 5 written, 1 duplicates, 3 quarantined" in said
    assert "benchmark: 5 cells, 1 failed, 500 rows" in said
    assert "public.orders: 300 rows of 300 in the snapshot" in said


def test_the_overview_goes_on_where_a_folder_is_broken(outs: dict[str, Path]) -> None:
    said = words(opened("overview", outs["broken"], outs["foreign"], outs["void"], outs["empty"], outs["export"]))

    assert "Cannot be shown: cannot use the table" in said
    assert "public.orders: 300 rows of 300 in the snapshot" in said


@pytest.mark.parametrize("job", JOBS)
def test_an_empty_folder_says_how_to_fill_it(job: str, outs: dict[str, Path]) -> None:
    assert f"holds nothing of {job}. Fill it by `./spark-submit.sh {job}`." in words(opened(job, outs["empty"]))


@pytest.mark.parametrize("job", JOBS)
def test_a_broken_table_is_named_with_its_cause(job: str, outs: dict[str, Path]) -> None:
    said = words(opened(job, outs["broken"]))

    assert f"cannot use the table {outs['broken']}/delta/" in said
    assert "Json error" in said
    assert "<unknown>" not in said


@pytest.mark.parametrize("job", JOBS)
def test_a_foreign_table_is_told_by_the_column_that_it_lacks(job: str, outs: dict[str, Path]) -> None:
    said = words(opened(job, outs["foreign"]))

    assert "has no column" in said
    assert "another program or another version wrote it" in said


@pytest.mark.parametrize("job", ["reconcile", "bulkload", "export"])
def test_tables_without_rows_say_so(job: str, outs: dict[str, Path]) -> None:
    assert "the table holds no run yet" in words(opened(job, outs["void"]))


def test_a_data_file_that_is_gone_spoils_only_its_own_part_of_the_page(tmp_path: Path) -> None:
    tables.reconcile_out(str(tmp_path))
    for file in (tmp_path / "delta/mismatches").rglob("*.parquet"):
        file.unlink()

    said = words(opened("reconcile", tmp_path, run="second", tab="Mismatches"))
    assert "Cannot be shown: cannot use the table mismatches" in said
    assert "source 1,010 = matched 1,005" in said
    assert "day=1/same.json" in words(opened("reconcile", tmp_path, run="second"))


def test_a_new_run_is_seen_although_answers_are_remembered(tmp_path: Path) -> None:
    tables.export_out(str(tmp_path))
    page = opened("export", tmp_path)
    tables.export_out(str(tmp_path))
    row = {"run_id": "newer", "run_time": "2026-12-01T00:00:00+00:00", "table": "t", "rows": 1, "verified": True}
    tables.write(str(tmp_path), "export_runs", arrow_schema(export.RUNS), [row])

    page.run()
    assert len(page.sidebar.selectbox(key="run").options) == 4


def test_a_run_of_another_folder_does_not_stay_chosen(tmp_path: Path, outs: dict[str, Path]) -> None:
    row = {"run_id": "only", "run_time": "2026-12-01T00:00:00+00:00", "table": "t", "rows": 1, "verified": True}
    tables.write(str(tmp_path), "export_runs", arrow_schema(export.RUNS), [row])
    tables.write(str(tmp_path), "export_chunks", arrow_schema(export.CHUNKS), [])
    page = opened("export", outs["export"], tmp_path, run="short")

    page.sidebar.selectbox(key="folder").select(str(tmp_path)).run()
    assert not page.exception
    assert page.sidebar.selectbox(key="run").value == "only"


def test_tables_on_s3_are_read_with_the_settings_of_the_environment(bucket: Bucket) -> None:
    tables.reconcile_out(f"{bucket.uri}/out", storage_options(bucket.store, bucket.uri))

    said = words(opened("reconcile", f"{bucket.uri}/out", run="second"))
    assert "✔ source 1,010 = matched 1,005" in said
    assert "holds nothing of reconcile" in words(opened("reconcile", f"{bucket.uri}/nowhere"))


def test_the_dashboard_needs_no_spark() -> None:
    code = "import sys, tallymark.dashboard.app; print(sorted({'pyspark', 'py4j'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, check=True)

    assert done.stdout == "[]\n"
