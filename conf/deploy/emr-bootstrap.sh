#!/usr/bin/env bash
# Bootstrap action of an EMR cluster: unpacks a checkout into /opt/tallymark.  emr-bootstrap.sh s3://BUCKET/tallymark.tar.gz
set -euo pipefail

sudo mkdir -p /opt/tallymark
aws s3 cp "$1" - | sudo tar xz -C /opt/tallymark
# The driver's copy of the environment is unpacked there by the first start, as the user hadoop.
sudo chown -R hadoop /opt/tallymark
