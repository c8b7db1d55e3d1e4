# What people and CI call. `make help` lists it; every target makes what it needs first.
PYTHON := .venv/bin/python
SETUP := conf/local/setup.sh

.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):.*/\1/p' $(MAKEFILE_LIST))

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

venv: ## make .venv with the pins of requirements.txt
	@$(SETUP) venv

jars: ## make .jars: what the local Spark needs for Delta and S3
	@$(SETUP) classes

gcs: ## make .jars with Google's connector too, for places that begin with gs:// (40 MB)
	@$(SETUP) gcs

demo: ## make sample data with known faults and reconcile it: no account, no server
	@$(SETUP) jars
	@$(PYTHON) demo/sample_data.py build/demo
	@code=0; TALLYMARK_RECORD_LATER=yes ./spark-submit.sh reconcile --source build/demo/source --backup build/demo/backup \
	  --out build/demo/out --key device_id,seq || code=$$?; \
	case $$code in \
	  3) echo "The job ended with exit code 3, as it must: the faults above were put into the backup." ;; \
	  *) echo "The job ended with exit code $$code; 3 was due." >&2; exit 1 ;; \
	esac
	@$(SETUP) classes # last: it only makes later starts quicker

demo-ingest: jars ## pull encrypted logs from a faulty API into hours, twice, and compare with its truth
	@$(PYTHON) demo/ingest.py

dashboard: venv ## show what the jobs left in their output folders: DASHBOARD=OUT[,OUT2...], at first those of the demos
	@PYTHONPATH=lib .venv/bin/streamlit run lib/tallymark/dashboard/app.py -- $(DASHBOARD)

demo-bulkload: jars ## make sample tenders, measure a small matrix and load them exactly once (RECORDS=245000 for all)
	@rm -rf build/demo-bulkload
	@$(PYTHON) demo/bulkload_data.py build/demo-bulkload/input $(or $(RECORDS),20000)
	@./spark-submit.sh bulkload --conf conf/bulkload.yaml --output-dir build/demo-bulkload/out --repeat 1 \
	  --method spark_jdbc_rewrite,copy_text,copy_binary --batch-size 100,1000 --connections 1,4
	@./spark-submit.sh bulkload --conf conf/bulkload.yaml --output-dir build/demo-bulkload/out --recommend
	@code=0; ./spark-submit.sh bulkload --conf conf/bulkload.yaml --output-dir build/demo-bulkload/out --load \
	  --method copy_text --batch-size 1000 --connections 4 --run-id demo || code=$$?; \
	case $$code in \
	  1) echo "The load ended with exit code 1, as it must: the records above are rejected." ;; \
	  *) echo "The load ended with exit code $$code; 1 was due." >&2; exit 1 ;; \
	esac

test: gcs package ## run all tests but those that take minutes each (test-kills, test-clusters, torture), in two processes
	@conf/local/gcs_emulator.sh
	@$(PYTHON) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-kills: jars ## kill reconcile and ingest after each of their stages, and let the next start finish
	@$(PYTHON) -m pytest -m kills tests/jobs

check: venv ## lint, format, types, direction of imports, shell scripts
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@PYTHONPATH=lib .venv/bin/lint-imports
	@.venv/bin/shellcheck spark-submit.sh .ci/run conf/*/*.sh

bench: jars build/peers/requirements.txt ## measure reconcile and its peers (hours); a part: BENCH="--cases a --sizes 2"
	@$(PYTHON) benchmarks/reconcile/run.py $(BENCH)
	@$(if $(BENCH),,$(PYTHON) benchmarks/reconcile/chart.py)

bench-ingest: jars ## measure ingest beside bare decryption and a plain loop (half an hour)
	@$(PYTHON) benchmarks/ingest/run.py $(BENCH)

bench-bulkload: jars ## measure bulkload against Spark's JDBC writer and psql; larger: BENCH="--records 2000000"
	@$(PYTHON) benchmarks/bulkload/run.py $(BENCH)

# --- export
bench-export: jars build/peers-export/requirements.txt ## measure export and its peers (ten minutes); quicker: BENCH="--repetitions 1"
	@$(PYTHON) benchmarks/export/run.py $(BENCH)

# The peers see the Spark of .venv through a .pth file, and nothing that they bring gets into .venv.
build/peers/requirements.txt: benchmarks/requirements.txt
build/peers-export/requirements.txt: benchmarks/export/requirements.txt
build/peers/requirements.txt build/peers-export/requirements.txt:
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D)
	@$(PYTHON) -c 'import site; print(site.getsitepackages()[0])' > "$$(echo $(@D)/lib/python3.*/site-packages)/project.pth"
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@cp $< $@

# --- clusters
package: dist/environment.tar.gz ## make dist/: the code and a Python environment for clusters, and lists of what is in it
	@conf/package/package.sh zip $(PYTHON)

# Made anew whenever another Python is named for it.
dist/environment.tar.gz: conf/package/environment.lock conf/package/contents.py $(if $(CLUSTER_PYTHON),named-python)
	@$(SETUP) venv
	@conf/package/package.sh environment

named-python:

lock: venv ## make the lock files anew from requirements.txt and setup.py
	@conf/package/package.sh lock

test-clusters: jars package ## kill, slow down and double what a real YARN and a real standalone cluster run
	@$(PYTHON) -m pytest -m clusters tests/clusters

demo-export: jars ## start a PostgreSQL, fill a table and export it by conf/export.yaml
	@$(PYTHON) demo/export_demo.py

# --- torture
torture: SEED ?= $(shell od -An -N2 -tu2 /dev/urandom | tr -d ' ')
torture: jars ## strike all jobs at random moments, at most 20 minutes: SEED=7 repeats, ROUNDS="-k storm" is a part
	@echo "torture: SEED=$(SEED)"
	@TORTURE_SEED=$(SEED) $(PYTHON) -m pytest --capture=no -m 'torture or not torture' tests/torture $(ROUNDS)

# --- quality
bench-quality: jars ## measure what judging costs (minutes); larger: BENCH="--rows 10000000"
	@TALLYMARK_JOBS=$(CURDIR)/benchmarks/quality ./spark-submit.sh run $(BENCH)

demo-quality: jars ## judge the table of files that `make demo` left: a split, pages and a verdict below build/demo/quality
	@./spark-submit.sh quality --conf conf/quality.yaml

# --- Spark 3.5
# The story of each job, tables that the lines continue in turn, and whole runs, sessions, S3 and rules within a session:
# what Spark computes and writes. The rest of the tests knows no Spark, or repeats these ways with other data.
SPARK35_TESTS := tests/lines $(wildcard tests/jobs/test_*_job.py) \
  tests/io/test_session.py tests/io/test_spark_lines.py tests/io/test_cluster.py tests/quality tests/runs/quality \
  tests/reconcile/test_settle.py tests/runs/reconcile/test_run.py tests/runs/reconcile/test_run_s3.py \
  tests/runs/ingest/test_run.py tests/runs/bulkload/test_run.py

test-spark35: jars ## run the tests named in the Makefile on Spark 3.5 and Delta Lake 3.3, as EMR 7 and Dataproc 2 have them
	@$(SETUP) spark35
	@.spark35/bin/python -m pytest --numprocesses 2 --dist loadfile $(or $(TESTS),$(SPARK35_TESTS))

# --- the tables
docs-tables: venv ## write docs/tables.md and docs/sql/{athena,trino,spark,duckdb}.sql from the columns in the code
	@PYTHONPATH=lib $(PYTHON) -c 'from pathlib import Path; from tallymark.report.tables_page import *; \
	  Path("docs/tables.md").write_text(tables_page()); \
	  [Path(f"docs/sql/{name}.sql").write_text(statements(name)) for name in DIALECTS]'

format: venv ## let ruff rewrite what `make check` would refuse
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

clean: ## remove what was made, except .venv and .jars
	@rm -rf build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache lib/*.egg-info
	@find lib jobs tests conf demo -name __pycache__ -prune -exec rm -rf {} +
