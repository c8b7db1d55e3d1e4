#!/usr/bin/env bash
# Makes what the local line needs beside the code, each part once and again only when its list changes:
#   venv     .venv  Python with the pins of requirements.txt
#   jars     .jars  the jars of ivy.xml that Spark's own jars folder lacks
#   fetch    jars of another Ivy file into another folder:  setup.sh fetch IVY.xml FOLDER
#   gcs      .jars  the connector for places that begin with gs://, for those who use it
#   spark35  .spark35  a Spark 3.5 as clusters have it, by conf/spark35, with what else .venv holds: for the tests
#   classes  .jars  the archive of loaded classes that halves the start of the JVM (a run works without it)
# Called by `make` and by the first ./spark-submit.sh. A killed run leaves nothing that looks finished.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
venv="$root/.venv"
jars="$root/.jars"
spark35="$root/.spark35"

say() { printf 'tallymark: %s\n' "$*" >&2; }
fail() { say "$@"; exit 2; }

# Two first starts at once must not write the same folder; where flock is unknown (macOS) they are on their own.
lock() {
  mkdir -p "$jars"
  exec 9>"$jars/setup.lock"
  if command -v flock >/dev/null; then flock 9; fi
}

find_python() {
  local name
  for name in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3 python; do
    # Run, not looked up: a version manager puts names on the path that answer "not installed", and Debian's Python
    # has no ensurepip before python3-venv is there.
    if "$name" -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; then
      command -v "$name"
      return
    fi
  done
  return 1
}

java_version() {
  # Java 8 calls itself 1.8.
  "${JAVA_HOME:+$JAVA_HOME/bin/}java" -version 2>&1 | sed -n 's/.* version "\(1\.\)\{0,1\}\([0-9]*\).*/\2/p'
}

oldest_java=17
# Java 24 removed what Hadoop asks for the user by.
java_fits() {
  local version
  version="$(java_version || true)"
  [ "${version:-0}" -ge "$oldest_java" ] && [ "$version" -lt 24 ]
}

# Tells in one message, with one command, all that the machine lacks:  need [python] [java]
need() {
  local what missing="" packages="" javas="17 or 21"
  [ "$oldest_java" = 17 ] || javas="8, 11 or 17"
  for what in "$@"; do
    case "$what" in
      python)
        find_python >/dev/null && continue
        missing="Python 3.11, 3.12 or 3.13 with its venv (found $(python3 -V 2>/dev/null || echo none))"
        packages=python3-venv
        ;;
      java)
        java_fits && continue
        missing="${missing:+$missing and }Java $javas (found $(java_version || true))"
        packages="${packages:+$packages }default-jre-headless"
        ;;
    esac
  done
  [ -n "$missing" ] || return 0
  if [ "${CI:-}" = true ] && [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then
    say "installing $packages"
    # shellcheck disable=SC2086 # words
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y $packages; } >/dev/null
    CI="" need "$@"
    return
  fi
  fail "needs ${missing//(found )/(found none)}. On Debian and Ubuntu: apt-get install -y $packages." \
    "Another than the default is named by PYTHON=/path/to/python3.11 or by JAVA_HOME"
}

make_venv() {
  cmp -s "$root/requirements.txt" "$venv/requirements.txt" && return
  need python
  lock
  cmp -s "$root/requirements.txt" "$venv/requirements.txt" && return
  local python log
  python="$(find_python)"
  log="$jars/venv.log"
  say "making .venv with $("$python" -V), once; this takes a minute or two"
  rm -rf "$venv"
  # uv first: it installs the rest in a fraction of pip's time. Where it cannot (a mirror that only pip.conf names), pip does.
  awk '/^[^ #]/ { wanted = /^uv==/ } wanted' "$root/requirements.lock" >"$jars/uv.lock"
  local pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement)
  if ! { "$python" -m venv "$venv" && "${pip[@]}" "$jars/uv.lock" && {
    "$venv/bin/uv" pip install --quiet --system-certs --python "$venv/bin/python" --require-hashes \
      --requirement "$root/requirements.lock" ||
      "${pip[@]}" "$root/requirements.lock"
  }; } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    fail "could not install requirements.lock; the whole log: $log"
  fi
  # Spark puts three archives of many thousand entries before everything else on the path of its Python workers and
  # has them read again in every task: 0.1 s each. The same modules lie unpacked in this environment.
  printf '%s\n' "import sys; sys.path[:] = [p for p in sys.path if not (p.startswith(sys.prefix) and p.endswith(('.jar', 'pyspark.zip', '-src.zip')))]" \
    >"$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/lean_workers.pth"
  cp "$root/requirements.txt" "$venv/requirements.txt"
}

spark_home() { echo "$venv"/lib/python3.*/site-packages/pyspark; }

# Puts the jars of an Ivy file into a folder.
resolve() {
  local ivy="$1" target="$2" cache="$3"
  mkdir -p "$target"
  if ! "${JAVA_HOME:+$JAVA_HOME/bin/}java" -cp "$(echo "$(spark_home)"/jars/ivy-*.jar)" org.apache.ivy.Main -ivy "$ivy" \
    -cache "$cache" -confs default -types jar bundle -retrieve "$target/[artifact]-[revision].[ext]" \
    >"$jars/ivy.log" 2>&1; then
    grep -E 'UNRESOLVED|FAILED|not found' "$jars/ivy.log" | head -n 5 >&2 || true
    fail "could not fetch the jars from Maven Central; the whole log: $jars/ivy.log"
  fi
}

fetch_jars() {
  local ivy="$1" target="$2"
  cmp -s "$ivy" "$target/ivy.xml" && return
  need java
  lock
  rm -rf "$target" "$target.new"
  resolve "$ivy" "$target.new" "$jars/cache"
  cp "$ivy" "$target.new/ivy.xml"
  mv "$target.new" "$target"
  rm -rf "$jars/cache"
}

# Moves the jars of a folder to another, but for those that Spark has, in any version: they stay Spark's.
move_missing() {
  local jar name
  for jar in "$1"/*.jar; do
    name="$(basename "$jar" | sed -E 's/-[0-9][0-9.]*[^/]*$//')"
    compgen -G "$2/$name-[0-9]*.jar" >/dev/null || mv "$jar" "$3/"
  done
}

make_jars() {
  cmp -s "$root/requirements.txt" "$venv/requirements.txt" || need python java
  make_venv
  cmp -s "$here/ivy.xml" "$jars/spark/ivy.xml" && [ "$venv/requirements.txt" -ot "$jars/spark/ivy.xml" ] && return
  need java
  lock
  cmp -s "$here/ivy.xml" "$jars/spark/ivy.xml" && [ "$venv/requirements.txt" -ot "$jars/spark/ivy.xml" ] && return
  local work="$jars/making"
  say "fetching the jars of Delta and S3, once; this takes about a minute"
  rm -rf "$work"
  mkdir -p "$work/spark"
  resolve "$here/ivy.xml" "$work/all" "$work/cache"
  move_missing "$work/all" "$(spark_home)/jars" "$work/spark"
  cp "$here/ivy.xml" "$work/spark/ivy.xml"
  rm -rf "$jars/spark"
  mv "$work/spark" "$jars/spark"
  rm -rf "$work"
}

make_classes() {
  make_jars
  [ -e "$jars/spark/classes.jsa" ] && return
  lock
  [ -e "$jars/spark/classes.jsa" ] && return
  local new="$jars/spark/classes.jsa.new"
  say "recording the classes that a start loads, once; this takes about half a minute"
  rm -f "$new"
  # The JVM accepts an archive only when it starts as it did for the recording, so this is an ordinary start.
  if TALLYMARK_JOBS="$here" "$root/spark-submit.sh" --driver-java-options "-XX:ArchiveClassesAtExit=$new" warm_up \
    >"$jars/classes.log" 2>&1 && [ -s "$new" ]; then
    mv "$new" "$jars/spark/classes.jsa"
  else
    # Only speed is lost; the empty file keeps every later start from trying again.
    rm -f "$new"
    : >"$jars/spark/classes.jsa"
    say "could not record them (log: $jars/classes.log); starts take some seconds longer"
  fi
}

make_gcs() {
  make_jars
  if ! cmp -s "$here/gcs.xml" "$jars/gcs/ivy.xml"; then
    say "fetching the connector for Google Cloud Storage, once: 40 MB"
    # Recorded with another class path, the archive would not fit any more; before, in case this is killed.
    rm -f "$jars/spark/classes.jsa"
    fetch_jars "$here/gcs.xml" "$jars/gcs"
  fi
  make_classes
}

make_spark35() {
  make_venv
  local pins="$root/conf/spark35" log="$jars/spark35.log" packages
  is_made() { cmp -s <(cat "$pins"/*) "$spark35/pins" && [ "$venv/requirements.txt" -ot "$spark35/pins" ]; }
  is_made && return
  need java
  lock
  is_made && return
  say "making .spark35, once; this takes about a minute"
  rm -rf "$spark35"
  "$venv/bin/python" -m venv "$spark35"
  if ! "$spark35/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
    --requirement "$pins/requirements.txt" >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    fail "pip could not install conf/spark35/requirements.txt; the whole log: $log"
  fi
  packages="$(echo "$spark35"/lib/python3.*/site-packages)"
  # Comes last on the path of this Python, so that its own Spark is found first.
  echo "$venv"/lib/python3.*/site-packages >"$packages/local_line.pth"
  resolve "$pins/ivy.xml" "$spark35/all" "$spark35/cache"
  move_missing "$spark35/all" "$packages/pyspark/jars" "$packages/pyspark/jars"
  rm -rf "$spark35/all" "$spark35/cache"
  cat "$pins"/* >"$spark35/pins"
}

case "${1:-}" in
  venv) make_venv ;;
  java) # of 17 or newer, or of the version given
    oldest_java="${2:-17}"
    need java
    ;;
  jars) make_jars ;;
  fetch) fetch_jars "$2" "$3" ;;
  gcs) make_gcs ;;
  classes) make_classes ;;
  spark35) make_spark35 ;;
  *) fail "usage: $0 venv|java|jars|fetch|gcs|classes|spark35" ;;
esac
