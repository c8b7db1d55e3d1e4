#!/usr/bin/env bash
# Stops with one line where a cluster's Spark or the Java for it is missing or too old, in place of a Java trace later.
# Called by spark-submit.sh:  require.sh SPARK-SUBMIT
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
home="${SPARK_HOME:-$(dirname "$(dirname "$(readlink -f "$1")")")}"
core="$(compgen -G "$home/jars/spark-core_*.jar" || true)"
# A spark-submit that lies elsewhere than its Spark knows where that is, and the job looks at its version again.
[ -n "$core" ] || exit 0
version="$(sed -En 's/.*spark-core_[0-9.]+-([0-9]+\.[0-9]+).*/\1/p;q' <<<"$core")"
case "$version" in
  [12].* | 3.[0-4])
    echo "tallymark: needs Spark 3.5 or newer, found $version in $home: name another by SPARK_HOME, or unset it" >&2
    exit 2
    ;;
  3.*) exec "$root/conf/local/setup.sh" java 8 ;;
  *) exec "$root/conf/local/setup.sh" java 17 ;;
esac
