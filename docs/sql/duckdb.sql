-- After INSTALL delta; LOAD delta;
-- Made by `make docs-tables`; s3://lake stands for your place.
CREATE OR REPLACE VIEW reconcile_runs AS SELECT * FROM delta_scan('s3://lake/reconcile/delta/runs');
CREATE OR REPLACE VIEW reconcile_files AS SELECT * FROM delta_scan('s3://lake/reconcile/delta/files');
CREATE OR REPLACE VIEW reconcile_mismatches AS SELECT * FROM delta_scan('s3://lake/reconcile/delta/mismatches');
CREATE OR REPLACE VIEW reconcile_ledger AS SELECT * FROM delta_scan('s3://lake/reconcile/delta/ledger');
CREATE OR REPLACE VIEW reconcile_ledger_residue AS SELECT * FROM delta_scan('s3://lake/reconcile/delta/ledger_residue');
CREATE OR REPLACE VIEW ingest_runs AS SELECT * FROM delta_scan('s3://lake/ingest/delta/runs');
CREATE OR REPLACE VIEW ingest_logs AS SELECT * FROM delta_scan('s3://lake/ingest/delta/logs');
CREATE OR REPLACE VIEW ingest_quarantine AS SELECT * FROM delta_scan('s3://lake/ingest/delta/quarantine');
CREATE OR REPLACE VIEW bulkload_cells AS SELECT * FROM delta_scan('s3://lake/bulkload/delta/bulkload_cells');
CREATE OR REPLACE VIEW bulkload_batches AS SELECT * FROM delta_scan('s3://lake/bulkload/delta/bulkload_batches');
CREATE OR REPLACE VIEW export_runs AS SELECT * FROM delta_scan('s3://lake/export/delta/export_runs');
CREATE OR REPLACE VIEW export_chunks AS SELECT * FROM delta_scan('s3://lake/export/delta/export_chunks');
