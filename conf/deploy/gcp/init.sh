#!/usr/bin/env bash
# Initialization action of a Dataproc cluster: unpacks the environment of `make package` on this node; the metadata
# tallymark-environment names the archive. Where the metadata tallymark-aws names a secret of Secret Manager, which holds
# a credentials file of AWS, that is put where boto3 and S3A look.
set -euo pipefail

archive="$(/usr/share/google/get_metadata_value attributes/tallymark-environment)"
mkdir -p /opt/tallymark/environment
gcloud storage cat "$archive" | tar xz -C /opt/tallymark/environment

secret="$(/usr/share/google/get_metadata_value attributes/tallymark-aws || true)"
[ -n "$secret" ] || exit 0
install -d -m 0700 /root/.aws
umask 077
gcloud secrets versions access latest --secret "$secret" >/root/.aws/credentials
