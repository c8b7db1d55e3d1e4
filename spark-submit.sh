#!/usr/bin/env bash
# Starts a job on Spark:  ./spark-submit.sh [spark-submit options] JOB [job options]
#
#   ./spark-submit.sh reconcile --help
#   ./spark-submit.sh reconcile --source s3://a/x/ --backup s3://a/y/ --out ./out
#   ./spark-submit.sh --master yarn --deploy-mode cluster reconcile --conf s3://conf/reconcile.yaml
#
# With SPARK_HOME, or a cluster's spark-submit on the path, that Spark runs the job. Without, the first start makes
# .venv and .jars here. On a cluster the environment of `make package` goes along where it was made (docs/clusters.md).
# Exit codes are the job's: 0 all accounted for, 1 different, 2 usage or configuration, 3 incomplete, 4 locked,
# 130 interrupted.
set -euo pipefail

root="$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)"
# Where the job scripts lie. The tests and the recording of classes start scripts of their own.
jobs="${TALLYMARK_JOBS:-$root/jobs}"

usage() {
  local job names=()
  for job in "$jobs"/*.py; do [ -e "$job" ] && names+=("$(basename "$job" .py)"); done
  printf '%s\n' "$1" "usage: ./spark-submit.sh [spark-submit options] JOB [job options]" \
    "JOB is one of: ${names[*]:-}" "options of a job: ./spark-submit.sh JOB --help" >&2
  exit 2
}

# --- Read the options of spark-submit up to the job. Six of them are lists that ours join; the others pass untouched.
options=() master="" deploy_mode="" jars="" py_files="" files="" archives="" class_path="" java_options=""
while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help) usage "Starts a job of Tallymark on Spark." ;;
    --version | --verbose | -v | --supervise | --usage-error) options+=("$1"); shift; continue ;;
    --*=*) name="${1%%=*}" value="${1#*=}" width=1 ;;
    -*) [ $# -ge 2 ] || usage "$1 needs a value."; name="$1" value="$2" width=2 ;;
    *) break ;;
  esac
  case "$name" in
    --jars) jars="$value" ;;
    --py-files) py_files="$value" ;;
    --files) files="$value" ;;
    --archives) archives="$value" ;;
    --driver-class-path) class_path="$value" ;;
    --driver-java-options) java_options="$value" ;;
    *)
      options+=("$name" "$value")
      case "$name=$value" in
        --master=*) master="$value" ;;
        --deploy-mode=*) deploy_mode="$value" ;;
        --conf=spark.master=* | -c=spark.master=*) master="${value#*=}" ;;
        --conf=spark.submit.deployMode=* | -c=spark.submit.deployMode=*) deploy_mode="${value#*=}" ;;
        # May hold a master; what is not known to be local is treated as a cluster.
        --properties-file=*) master="${master:-$(sed -n 's/^[[:space:]]*spark\.master[[:space:]=:]*//p' "$value")}" ;;
      esac
      ;;
  esac
  shift "$width"
done
[ $# -gt 0 ] || usage "No job named."
script="$jobs/$1.py"
[[ "$1" != */* && -f "$script" ]] || usage "Unknown job: $1"
shift

help=""
for option in "$@"; do
  case "$option" in -h | --help) help=yes ;; esac
done

# --- Which Spark.
venv="$root/.venv"
find_submit() {
  if [ -n "${SPARK_HOME:-}" ]; then
    [ -x "$SPARK_HOME/bin/spark-submit" ] || usage "SPARK_HOME=$SPARK_HOME has no bin/spark-submit."
    case "$SPARK_HOME/" in "$venv"/*) ;; *) echo "$SPARK_HOME/bin/spark-submit" ;; esac
    return
  fi
  local found
  found="$(type -P spark-submit || true)"
  # A pip installation (.venv activated, or any other) has this file beside it. It is no cluster: it has no Delta.
  [ -z "$found" ] || [ -e "$(dirname "$found")/find_spark_home.py" ] || echo "$found"
}
submit="$(find_submit)"

if [ -z "$submit" ]; then
  cmp -s "$root/requirements.txt" "$venv/requirements.txt" || "$root/conf/local/setup.sh" "$([ -n "$help" ] && echo venv || echo classes)"
  python="$venv/bin/python"
  # Named, or Spark's scripts start a Python just to find it.
  SPARK_HOME="$(echo "$venv"/lib/python3.*/site-packages/pyspark)"
  export SPARK_HOME
else
  python="${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/}python3"
  [ -n "$help" ] || "$root/conf/cluster/require.sh" "$submit"
fi

# --- On other machines: the packaged environment, where there is one and no other Python is named.
elsewhere="" archive="$root/dist/environment.tar.gz"
# Prints the master that Spark takes where none is given: that of its settings, else this machine; nothing where no
# settings can be found.
default_master() {
  local folder named
  for folder in "${SPARK_CONF_DIR:-}" "$(dirname "$(readlink -f "$submit")")/../conf" /etc/spark/conf; do
    [ -n "$folder" ] && [ -d "$folder" ] || continue
    named="$(sed -n 's/^[[:space:]]*spark\.master[[:space:]=:]*//p' "$folder/spark-defaults.conf" 2>/dev/null | tail -n 1)"
    echo "${named:-${MASTER:-local[*]}}"
    return
  done
}
[ -z "$submit" ] || [ -n "$master" ] || master="$(default_master)"
case "$master" in
  local | local\[*) ;;
  "") elsewhere="$submit" ;; # A cluster's own settings name the master.
  *) elsewhere=yes ;;
esac
if [ -n "$elsewhere" ] && [ -e "$archive" ] && [ -z "${PYSPARK_PYTHON:-}" ]; then
  archives="$archive#environment${archives:+,$archives}"
  PYSPARK_PYTHON=./environment/bin/python
  if [ -n "$submit" ] && [ "$deploy_mode" != cluster ] && [ -z "$help" ]; then
    # The driver is here, and needs the same packages.
    [ "$root/dist/environment" -nt "$archive" ] || "$root/conf/package/package.sh" unpack
    python="$root/dist/environment/bin/python"
  fi
fi
export PYSPARK_PYTHON="${PYSPARK_PYTHON:-$python}"
[ "$deploy_mode" = cluster ] || export PYSPARK_DRIVER_PYTHON="${PYSPARK_DRIVER_PYTHON:-$python}"

# Printing help needs neither Spark nor Java.
if [ -n "$help" ]; then
  PYTHONPATH="$root/lib${PYTHONPATH:+:$PYTHONPATH}" exec "${PYSPARK_DRIVER_PYTHON:-$python}" "$script" "$@"
fi

# --- The code as a zip: executors elsewhere import the package from it (a wheel they would not import).
if [ -n "$elsewhere$submit" ]; then
  "$root/conf/package/package.sh" zip "$python"
  py_files="$root/dist/tallymark.zip${py_files:+,$py_files}"
fi

# --- A driver elsewhere has no files of this machine: what --conf names travels along.
arguments=("$@")
if [ "$deploy_mode" = cluster ]; then
  for i in "${!arguments[@]}"; do
    case "${arguments[i]}" in
      --conf) at=$((i + 1)) prefix="" ;;
      --conf=*) at="$i" prefix="--conf=" ;;
      *) continue ;;
    esac
    file="${arguments[at]:-}" file="${file#"$prefix"}"
    [ -f "$file" ] || continue
    files="${files:+$files,}$file"
    arguments[at]="$prefix$(basename "$file")"
  done
fi

# Adds the lists to the options; where the driver is elsewhere, submits.
complete() {
  [ -z "$py_files" ] || options+=(--py-files "$py_files")
  [ -z "$archives" ] || options+=(--archives "$archives")
  [ -z "$jars" ] || options+=(--jars "$jars")
  [ -z "$class_path" ] || options+=(--driver-class-path "$class_path")
  [ -z "$java_options" ] || options+=(--driver-java-options "$java_options")
  if [ "$deploy_mode" = cluster ]; then
    exec "$root/conf/cluster/submit.sh" "$python" "$files" "$1" "${options[@]}" "$script" ${arguments[@]+"${arguments[@]}"}
  fi
  [ -z "$files" ] || options+=(--files "$files")
}

# --- A cluster's Spark: its own class path and Delta, only our code and its packages go along.
if [ -n "$submit" ]; then
  complete "$submit"
  exec "$submit" ${options[@]+"${options[@]}"} "$script" "$@"
fi

# --- The local line. With TALLYMARK_RECORD_LATER it does not wait for the recording of classes (see `make demo`).
ours="$root/.jars/spark"
records=""
case "$java_options" in *ArchiveClassesAtExit*) records=yes ;; esac
if ! cmp -s "$root/conf/local/ivy.xml" "$ours/ivy.xml" || [ "$ours/ivy.xml" -ot "$venv/requirements.txt" ] ||
  { [ -z "$records${TALLYMARK_RECORD_LATER:-}" ] && [ ! -e "$ours/classes.jsa" ]; }; then
  "$root/conf/local/setup.sh" "$([ -n "$records" ] && echo jars || echo classes)"
fi

shipped="" in_place=""
for jar in "$ours"/*.jar "$root"/.jars/gcs/*.jar; do
  [ -e "$jar" ] || continue # those of `make gcs` may not be there
  shipped="${shipped:+$shipped,}$jar"
  in_place="${in_place:+$in_place:}$jar"
done
# Only then, because `--jars` copies the jars at every start.
[ -z "$elsewhere" ] || jars="$shipped${jars:+,$jars}"
if [ "$deploy_mode" != cluster ]; then
  class_path="$in_place${class_path:+:$class_path}"
  # C1 alone and the recorded classes: the JVM is up in half the time.
  java_options="-XX:TieredStopAtLevel=1 $java_options"
  if [ -z "$records" ] && [ -s "$ours/classes.jsa" ]; then
    java_options="-XX:SharedArchiveFile=$ours/classes.jsa -Xshare:auto $java_options"
  fi
  # The archive may not fit any more (another Java, another option): then the JVM starts without it, and says nothing.
  java_options="-Xlog:cds=off -Xlog:cds+dynamic=off -Xlog:class+path=off $java_options"
  case "$java_options" in
    *log4j2.configurationFile*) ;;
    *) java_options="-Dlog4j2.configurationFile=file:$root/conf/local/log4j2.properties $java_options" ;;
  esac
fi

complete "$venv/bin/spark-submit"

# Python first and the JVM from there: options are checked before a JVM starts, and Ctrl-C goes to Python alone.
quoted=""
for option in "${options[@]}"; do quoted="$quoted'${option//\'/\'\\\'\'}' "; done
export PYSPARK_SUBMIT_ARGS="${quoted}pyspark-shell"
export PYTHONPATH="$root/lib${PYTHONPATH:+:$PYTHONPATH}"
export TALLYMARK_JAVA="${JAVA_HOME:+$JAVA_HOME/bin/}java" JAVA_HOME="$root/conf/local/java"
exec "$PYSPARK_DRIVER_PYTHON" "$script" "$@"
