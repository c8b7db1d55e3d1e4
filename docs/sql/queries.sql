-- Questions that a data quality team asks, over the tables of docs/tables.md and the views of views.sql.
-- Spark SQL, DuckDB, Athena and Trino take the same text, but for the one query that stands here twice.

-- Which pairs of places match, by their latest run?
SELECT source, backup, run_id, verdict, match_rate
FROM latest_run
ORDER BY source, backup;

-- Which pairs of places match now, with what re-checks have found since?
SELECT
  source,
  backup,
  COUNT(*) AS files,
  SUM(CASE WHEN status = 'MATCH' THEN 0 ELSE 1 END) AS files_that_differ,
  SUM(source_records) AS source_records
FROM latest_files
GROUP BY source, backup
ORDER BY source, backup;

-- Which files match least now?
SELECT file_path, match_rate, mismatched_records, missing_in_backup, missing_in_source
FROM latest_files
WHERE match_rate < 100
ORDER BY match_rate, file_path
LIMIT 20;

-- Which files could the latest runs not compare, and why?
SELECT f.file_path, f.error
FROM reconcile_files f
JOIN latest_run r ON r.run_id = f.run_id
WHERE f.status = 'ERROR'
ORDER BY f.file_path;

-- How many records are open, by what is wrong with them?
SELECT source, backup, bucket_type, SUM(count) AS records
FROM open_mismatches
GROUP BY source, backup, bucket_type
ORDER BY source, backup, bucket_type;

-- In which fields do the open changed records differ? (DuckDB, Athena, Trino)
SELECT t.changed_path, SUM(m.count) AS records
FROM open_mismatches m
CROSS JOIN UNNEST(m.changed_paths) AS t (changed_path)
GROUP BY t.changed_path
ORDER BY records DESC, t.changed_path;

-- In which fields do the open changed records differ? (Spark)
SELECT t.changed_path, SUM(m.count) AS records
FROM open_mismatches m
LATERAL VIEW EXPLODE(m.changed_paths) t AS changed_path
GROUP BY t.changed_path
ORDER BY records DESC, t.changed_path;

-- How does it go from day to day?
SELECT
  SUBSTR(run_time, 1, 10) AS day,
  COUNT(*) AS runs,
  SUM(CASE WHEN exit_code = 0 THEN 1 ELSE 0 END) AS passed,
  MIN(match_rate) AS lowest_rate,
  SUM(source_records) AS source_records
FROM reconcile_runs
WHERE verdict IS NOT NULL
GROUP BY SUBSTR(run_time, 1, 10)
ORDER BY day;

-- How many whole hours was the ingest behind when its last run of the API ended well?
SELECT
  run_id,
  watermark,
  EXTRACT(DAY FROM (began - reached)) * 24 + EXTRACT(HOUR FROM (began - reached)) AS hours_late
FROM (
  SELECT
    run_id,
    watermark,
    CAST(REPLACE(SUBSTR(run_time, 1, 19), 'T', ' ') AS TIMESTAMP) AS began,
    CAST(REPLACE(SUBSTR(watermark, 1, 19), 'T', ' ') AS TIMESTAMP) AS reached,
    ROW_NUMBER() OVER (ORDER BY run_time DESC, run_id DESC) AS place
  FROM ingest_runs
  WHERE status = 'COMPLETE' AND watermark IS NOT NULL
) newest
WHERE place = 1;

-- Why are items in quarantine?
SELECT stage, reason, COUNT(*) AS items
FROM ingest_quarantine
GROUP BY stage, reason
ORDER BY items DESC, stage, reason;

-- How many records does each hour have?
SELECT dt, hour, COUNT(*) AS records
FROM ingest_logs
GROUP BY dt, hour
ORDER BY dt, hour;

-- What do a million rows cost with each cell, at 3.60 an hour for the server? Emulated figures have no price.
SELECT
  provider, method, batch_size, num_connections,
  ROUND(1000000 / AVG(rows_per_second) / 3600 * 3.60, 4) AS cost_of_a_million
FROM bulkload_cells
WHERE kind = 'benchmark' AND measurement = 'measured'
GROUP BY provider, method, batch_size, num_connections
HAVING MIN(CASE WHEN status = 'OK' THEN 1 ELSE 0 END) = 1
ORDER BY cost_of_a_million, method, batch_size, num_connections;

-- Which cells failed, and by what?
SELECT run_id, method, batch_size, num_connections, sqlstate, error
FROM bulkload_cells
WHERE status = 'FAILED'
ORDER BY run_id, method, batch_size, num_connections;

-- Which chunk of each export was the slowest?
SELECT run_id, number, part, seconds
FROM (
  SELECT
    run_id, number, part, seconds,
    ROW_NUMBER() OVER (PARTITION BY run_id ORDER BY seconds DESC, number) AS place
  FROM export_chunks
) slowest
WHERE place = 1
ORDER BY run_id;

-- Which exports are not proven to be of one moment?
SELECT run_id, consistency, verified
FROM export_runs
WHERE consistency <> 'snapshot' OR NOT verified
ORDER BY run_id;
