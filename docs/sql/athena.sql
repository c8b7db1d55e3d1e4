-- Athena and Glue take the columns from the Delta log; none is named here. One statement a run.
-- Made by `make docs-tables`; s3://lake stands for your place.
CREATE EXTERNAL TABLE reconcile_runs LOCATION 's3://lake/reconcile/delta/runs/' TBLPROPERTIES ('table_type' = 'DELTA');
CREATE EXTERNAL TABLE reconcile_files LOCATION 's3://lake/reconcile/delta/files/' TBLPROPERTIES ('table_type' = 'DELTA');
CREATE EXTERNAL TABLE reconcile_mismatches LOCATION 's3://lake/reconcile/delta/mismatches/' TBLPROPERTIES ('table_type' = 'DELTA');
CREATE EXTERNAL TABLE reconcile_ledger LOCATION 's3://lake/reconcile/delta/ledger/' TBLPROPERTIES ('table_type' = 'DELTA');
CREATE EXTERNAL TABLE reconcile_ledger_residue LOCATION 's3://lake/reconcile/delta/ledger_residue/' TBLPROPERTIES ('table_type' = 'DELTA');
CREATE EXTERNAL TABLE ingest_runs LOCATION 's3://lake/ingest/delta/runs/' TBLPROPERTIES ('table_type' = 'DELTA');
CREATE EXTERNAL TABLE ingest_logs LOCATION 's3://lake/ingest/delta/logs/' TBLPROPERTIES ('table_type' = 'DELTA');
CREATE EXTERNAL TABLE ingest_quarantine LOCATION 's3://lake/ingest/delta/quarantine/' TBLPROPERTIES ('table_type' = 'DELTA');
CREATE EXTERNAL TABLE bulkload_cells LOCATION 's3://lake/bulkload/delta/bulkload_cells/' TBLPROPERTIES ('table_type' = 'DELTA');
CREATE EXTERNAL TABLE bulkload_batches LOCATION 's3://lake/bulkload/delta/bulkload_batches/' TBLPROPERTIES ('table_type' = 'DELTA');
CREATE EXTERNAL TABLE export_runs LOCATION 's3://lake/export/delta/export_runs/' TBLPROPERTIES ('table_type' = 'DELTA');
CREATE EXTERNAL TABLE export_chunks LOCATION 's3://lake/export/delta/export_chunks/' TBLPROPERTIES ('table_type' = 'DELTA');
