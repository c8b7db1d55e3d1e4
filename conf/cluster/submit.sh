#!/usr/bin/env bash
# Submits an application whose driver runs on the cluster, waits for its end, and gives back what the job said there:
# its output, its log and its exit code. Called by spark-submit.sh:  submit.sh PYTHON FILES SPARK-SUBMIT [arguments]
#
# spark-submit itself ends with 1 whatever the job ended with, and 1 is the job's word for "different". On YARN the exit
# code stands in the diagnostics of the application; where none of the job's stands there, it is incomplete (3).
set -euo pipefail

python="$1" files="$2" submit="$3"
shift 3
umask 077
private="$(mktemp -d)"
trap 'rm -rf "$private"' EXIT

# What the job would find in the environment here. In a file, because a command line can be read by everybody.
"$python" - >"$private/tallymark-environment.json" <<'PYTHON'
import json, os, sys

OURS = ("TALLYMARK_", "PG", "GCP_DB_", "AWS_DB_", "AZURE_DB_")
json.dump({name: value for name, value in os.environ.items() if name.startswith(OURS)}, sys.stdout)
PYTHON
files="${files:+$files,}$private/tallymark-environment.json"
[ ! -f .env ] || files="$files,.env"

# Prints the log of the driver, whose container is the first one, as YARN collects it some seconds after the end.
print_log() {
  local id="$1" container="" try stream
  for try in 1 2 3 4 5 6; do
    yarn logs -applicationId "$id" -show_application_log_info >"$private/containers" 2>/dev/null || true
    container="$(grep -om1 'container_[0-9a-z_]*_000001' "$private/containers" || true)"
    [ -z "$container" ] || break
    sleep "$try"
  done
  for stream in stderr stdout; do
    yarn logs -applicationId "$id" -containerId "${container:-none}" -log_files "$stream" 2>/dev/null |
      sed -n '/^LogContents:$/,/^End of LogType/{//!p}' >"$private/$stream" || container=""
  done
  cat "$private/stderr" >&2
  cat "$private/stdout"
  [ -n "$container" ] || echo "tallymark: YARN did not hand out the driver's log: yarn logs -applicationId $id" >&2
}

# One attempt: an exit code above 0 is an answer of the job, not a reason to run it again.
set +e
{
  "$submit" --conf spark.yarn.maxAppAttempts=1 --files "$files" "$@" 2>&1 >&3 3>&- | tee "$private/told" >&2 3>&-
  code="${PIPESTATUS[0]}"
} 3>&1
set -e

id="$(grep -Eom1 'application_[0-9]+_[0-9]+' "$private/told" || true)"
if [ -n "$id" ] && type -P yarn >/dev/null; then
  print_log "$id"
elif [ -n "$id" ]; then
  echo "tallymark: what the job said is in its log: yarn logs -applicationId $id" >&2
fi
if [ "$code" != 0 ]; then
  code="$(sed -En 's/.*User application exited with status ([0-9]+).*/\1/p' "$private/told" | tail -n 1)"
fi
case "$code" in
  [0-4] | 130) exit "$code" ;;
  *) exit 3 ;; # killed, or never started
esac
