#!/usr/bin/env bash
# Makes in dist/ what a cluster needs beside its own Spark:
#   zip          tallymark.zip       the code, importable by executors as it is
#   environment  environment.tar.gz  Python's packages as a virtual environment that runs wherever it is unpacked,
#                environment.cdx.json, environment.licences.csv: what is in it
#   unpack       environment          the same, unpacked
#   lock         requirements.lock, environment.lock: versions and hashes, made anew from requirements.txt and setup.py
# The archive holds no interpreter but a link to one, which every machine of the cluster must have, of the same minor
# version: that of .venv, or CLUSTER_PYTHON=/usr/bin/python3.11. Called by `make` and by spark-submit.sh (zip, unpack).
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
dist="$root/dist"

# Where nothing is newer than the zip, it stays.
make_zip() {
  local zip="$dist/tallymark.zip"
  if [ -e "$zip" ] && [ -z "$(find "$root/lib/tallymark" \( -name '*.py' -o -name py.typed -o -path '*/page/*' -o -type d \) \
    ! -name __pycache__ -newer "$zip" -print -quit)" ]; then
    return
  fi
  "${1:-python3}" - "$root/lib" "$zip" <<'PYTHON'
import os, pathlib, sys, zipfile

lib, target = map(pathlib.Path, sys.argv[1:])
target.parent.mkdir(exist_ok=True)
temporary = target.with_name(f"{target.name}.{os.getpid()}")
with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
    kinds = ("tallymark/**/*.py", "tallymark/py.typed", "tallymark/report/page/*")
    for path in sorted(path for kind in kinds for path in lib.glob(kind)):
        archive.write(path, path.relative_to(lib))
# Renamed when complete: another start may be reading the old one.
temporary.replace(target)
PYTHON
}

make_environment() {
  local python="$root/.venv/bin/python" work="$root/build/environment" linked
  linked="${CLUSTER_PYTHON:-$("$python" -c 'import os, sys; print(os.path.realpath(sys._base_executable))')}"
  rm -rf "$work"
  "$python" -m venv --without-pip "$work"
  # Wheels only: what is compiled here may ask for a newer C library than the cluster has.
  "$root/.venv/bin/uv" pip install --quiet --python "$work/bin/python" --link-mode copy --compile-bytecode --no-deps \
    --require-hashes --only-binary :all: --requirement "$here/environment.lock"
  mkdir -p "$dist"
  "$work/bin/python" "$here/contents.py" "$dist/environment.cdx.json" "$dist/environment.licences.csv"
  # What no run imports, a tenth of it.
  find "$work" -type d -name tests -prune -exec rm -rf {} +
  # No scripts: they name the folder in which they were made.
  find "$work/bin" -mindepth 1 ! -name 'python*' -delete
  ln -sfn "$linked" "$(echo "$work"/bin/python3.*)"
  printf 'home = %s\ninclude-system-site-packages = false\n' "$(dirname "$linked")" >"$work/pyvenv.cfg"
  tar -C "$work" --owner=0 --group=0 -cf - . | gzip -1 >"$dist/environment.tar.gz.new"
  mv "$dist/environment.tar.gz.new" "$dist/environment.tar.gz"
}

# For a driver on this machine.
unpack_environment() {
  local new="$dist/environment.$$"
  mkdir -p "$new"
  tar -C "$new" -xf "$dist/environment.tar.gz"
  touch "$new"
  rm -rf "$dist/environment"
  mv "$new" "$dist/environment"
}

# Asks the package index.
make_lock() {
  local uv="$root/.venv/bin/uv" options=(--quiet --no-header --universal --python-version 3.11 --generate-hashes)
  cd "$root"
  # The lock that is there is kept where it still fits; remove it to take the newest of everything.
  "$uv" pip compile "${options[@]}" requirements.txt --output-file requirements.lock
  # Spark is the cluster's.
  "$uv" pip compile "${options[@]}" setup.py --extra spark --extra quality --extra gcs --constraint requirements.lock --no-annotate \
    --no-emit-package pyspark --no-emit-package py4j --no-emit-package delta-spark \
    --output-file conf/package/environment.lock
}

case "${1:-}" in
  zip) make_zip "${2:-}" ;;
  environment) make_environment ;;
  unpack) unpack_environment ;;
  lock) make_lock ;;
  *) echo "usage: $0 zip|environment|unpack|lock" >&2; exit 2 ;;
esac
