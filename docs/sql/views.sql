-- The latest state of what `reconcile` compares. The same text for Spark SQL, DuckDB, Athena and Trino, after the
-- statements beside this file have made the tables known.

-- One row for each pair of places: their newest finished run over all files. A run without a verdict was killed, or still
-- works. A re-check (--only-failed-from) compares a part, so its figures are not those of the places; what it found is in
-- the two views below.
CREATE OR REPLACE VIEW latest_run AS
SELECT r.*
FROM reconcile_runs r
WHERE r.verdict IS NOT NULL
  AND COALESCE(r.files_left_out, 0) = 0
  AND NOT EXISTS (
    SELECT 1
    FROM reconcile_runs later
    WHERE later.source = r.source
      AND later.backup = r.backup
      AND later.verdict IS NOT NULL
      AND COALESCE(later.files_left_out, 0) = 0
      AND (later.run_time > r.run_time OR (later.run_time = r.run_time AND later.run_id > r.run_id))
  );

-- One row for each pair of places and file: what the newest finished run found that compared the file, re-checks too.
-- A run that could not read a file, or left it out, says nothing of it, so what an earlier run found there stays;
-- so does what was found in a file that is now gone from both sides.
CREATE OR REPLACE VIEW latest_files AS
SELECT c.source, c.backup, f.*
FROM reconcile_files f
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
) c ON c.run_id = f.run_id AND c.file_path = f.file_path
WHERE c.place = 1;

-- The mismatches that nothing has settled since: those in the latest state of each file.
CREATE OR REPLACE VIEW open_mismatches AS
SELECT f.source, f.backup, m.*
FROM reconcile_mismatches m
JOIN latest_files f ON f.run_id = m.run_id AND f.file_path = m.file_path;
