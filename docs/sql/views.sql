-- The latest state of what `reconcile` compares. The same text for Spark SQL, DuckDB, Athena and Trino, after the
-- statements beside this file have made the tables known.

-- One row for each pair of places: their newest finished run. A run without a verdict was killed, or still works.
CREATE OR REPLACE VIEW latest_run AS
SELECT r.*
FROM reconcile_runs r
WHERE r.verdict IS NOT NULL
  AND NOT EXISTS (
    SELECT 1
    FROM reconcile_runs later
    WHERE later.source = r.source
      AND later.backup = r.backup
      AND later.verdict IS NOT NULL
      AND (later.run_time > r.run_time OR (later.run_time = r.run_time AND later.run_id > r.run_id))
  );

-- The mismatches that nothing has settled since: of each file those of the newest finished run that compared the file.
-- A run that could not read a file, or left it out, says nothing of it, so what an earlier run found there stays open;
-- so does what was found in a file that is now gone from both sides.
CREATE OR REPLACE VIEW open_mismatches AS
SELECT c.source, c.backup, m.*
FROM reconcile_mismatches m
JOIN (
  SELECT
    r.source, r.backup, f.run_id, f.file_path,
    ROW_NUMBER() OVER (
      PARTITION BY r.source, r.backup, f.file_path ORDER BY r.run_time DESC, r.run_id DESC
    ) AS place
  FROM reconcile_files f
  JOIN reconcile_runs r ON r.run_id = f.run_id
  WHERE r.verdict IS NOT NULL
    AND f.status IN ('MATCH', 'DIFFERENT', 'MISSING_IN_BACKUP', 'MISSING_IN_SOURCE')
) c ON c.run_id = m.run_id AND c.file_path = m.file_path
WHERE c.place = 1;
