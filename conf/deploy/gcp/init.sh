#!/usr/bin/env bash
# Initialization action of a Dataproc cluster: unpacks the environment of `make package` on this node, and puts the keys
# for S3 where boto3 and S3A look. The metadata tallymark-environment names the archive; the secret tallymark-aws of
# Secret Manager holds a credentials file of AWS.
set -euo pipefail

archive="$(/usr/share/google/get_metadata_value attributes/tallymark-environment)"
mkdir -p /opt/tallymark/environment
gcloud storage cat "$archive" | tar xz -C /opt/tallymark/environment

install -d -m 0700 /root/.aws
umask 077
gcloud secrets versions access latest --secret tallymark-aws >/root/.aws/credentials
