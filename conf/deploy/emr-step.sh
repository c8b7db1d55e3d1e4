#!/usr/bin/env bash
# Runs a job as a step of an EMR cluster:  emr-step.sh s3://BUCKET/KEY JOB [options of the job]
# Leaves the job's exit code in that object, because EMR itself says only that a step failed. Ends with that code.
# Called by the state machine aws/emr-ec2.asl.json.
set -uo pipefail

delta=/usr/share/aws/delta/lib # where EMR keeps Delta Lake, outside of Spark's class path
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
exit_code_to="$1"
shift
"$root/spark-submit.sh" --master yarn --jars "$delta/delta-spark.jar,$delta/delta-storage.jar" "$@"
code=$?
printf '%s' "$code" | aws s3 cp - "$exit_code_to" ||
  echo "tallymark: the exit code $code could not be written to $exit_code_to" >&2
exit "$code"
