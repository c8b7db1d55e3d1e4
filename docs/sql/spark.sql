-- Any Spark with Delta Lake; the table takes its columns, and their comments, from the Delta log.
-- Made by `make docs-tables`; s3://lake stands for your place.
CREATE TABLE IF NOT EXISTS reconcile_runs USING DELTA LOCATION 's3://lake/reconcile/delta/runs';
CREATE TABLE IF NOT EXISTS reconcile_files USING DELTA LOCATION 's3://lake/reconcile/delta/files';
CREATE TABLE IF NOT EXISTS reconcile_mismatches USING DELTA LOCATION 's3://lake/reconcile/delta/mismatches';
CREATE TABLE IF NOT EXISTS reconcile_ledger USING DELTA LOCATION 's3://lake/reconcile/delta/ledger';
CREATE TABLE IF NOT EXISTS reconcile_ledger_residue USING DELTA LOCATION 's3://lake/reconcile/delta/ledger_residue';
CREATE TABLE IF NOT EXISTS ingest_runs USING DELTA LOCATION 's3://lake/ingest/delta/runs';
CREATE TABLE IF NOT EXISTS ingest_logs USING DELTA LOCATION 's3://lake/ingest/delta/logs';
CREATE TABLE IF NOT EXISTS ingest_quarantine USING DELTA LOCATION 's3://lake/ingest/delta/quarantine';
CREATE TABLE IF NOT EXISTS bulkload_cells USING DELTA LOCATION 's3://lake/bulkload/delta/bulkload_cells';
CREATE TABLE IF NOT EXISTS bulkload_batches USING DELTA LOCATION 's3://lake/bulkload/delta/bulkload_batches';
CREATE TABLE IF NOT EXISTS export_runs USING DELTA LOCATION 's3://lake/export/delta/export_runs';
CREATE TABLE IF NOT EXISTS export_chunks USING DELTA LOCATION 's3://lake/export/delta/export_chunks';
