"""How the errors of boto3 become those of Tallymark: of one object (a reason), of a whole place (a class).

Knows no request and no client; called by the other modules of S3.
"""

from __future__ import annotations

import re

import urllib3.exceptions
from boto3.exceptions import Boto3Error
from botocore import exceptions as failures

from tallymark.errors import ConfigError, IncompleteError, ObjectError, TallymarkError
from tallymark.io.stored import StoredObject

FAILURES = (failures.BotoCoreError, failures.ClientError, Boto3Error, urllib3.exceptions.HTTPError, OSError)
_LOST = (failures.ConnectionError, failures.HTTPClientError, failures.IncompleteReadError)
BROKEN = (*_LOST, urllib3.exceptions.HTTPError, OSError)
_CREDENTIALS = (
    failures.NoCredentialsError,
    failures.PartialCredentialsError,
    failures.CredentialRetrievalError,
    failures.ProfileNotFound,
    failures.TokenRetrievalError,
    failures.SSOError,
)
_BAD_KEYS = {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "RequestTimeTooSkewed", "SignatureDoesNotMatch"}
_REGION_CODES = {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}

_ADVICE = {
    "ACCESS_DENIED": "the role needs s3:GetObject on it, and kms:Decrypt on its key if it is encrypted with KMS",
    "ARCHIVED": "it is in an archive storage class; restore it first, then run again",
    "CHANGED_DURING_RUN": "it was written after it was listed; run again when it is at rest",
    "CHECKSUM_MISMATCH": "the bytes that came do not have the checksum that S3 keeps; run again, else restore it",
    "DELETED_DURING_RUN": "it was listed and is gone; restore it and run again",
    "NO_CREDENTIALS": "the process that reads found none that S3 accepts; give the executors a role or valid keys",
    "UNAVAILABLE": "S3 did not answer in spite of retries; run again later",
    "UNREADABLE": "see what S3 said",
}


def reading_error(error: BaseException, obj: StoredObject) -> ObjectError:
    """Return the error that one object's row shows."""
    reason = _reason(error)
    return ObjectError(obj.uri, reason, f"{_ADVICE[reason]} ({cause_of(error)})")


def changed(obj: StoredObject) -> ObjectError:
    """Return the error of an object that is not what was listed although the store did not say so."""
    return ObjectError(obj.uri, "CHANGED_DURING_RUN", _ADVICE["CHANGED_DURING_RUN"])


def _reason(error: BaseException) -> str:
    code, status = answer(error)
    if isinstance(error, _CREDENTIALS) or code in _BAD_KEYS:
        return "NO_CREDENTIALS"
    if isinstance(error, failures.FlexibleChecksumError):
        return "CHECKSUM_MISMATCH"
    if code == "InvalidObjectState":
        return "ARCHIVED"
    if code.startswith("KMS."):
        return "ACCESS_DENIED"
    if isinstance(error, BROKEN) or status >= 500 or code == "RequestTimeout":
        return "UNAVAILABLE"
    by_status = {403: "ACCESS_DENIED", 404: "DELETED_DURING_RUN", 405: "DELETED_DURING_RUN", 429: "UNAVAILABLE"}
    return by_status.get(status, "CHANGED_DURING_RUN" if status in (412, 416) else "UNREADABLE")


def place_error(error: BaseException, uri: str, action: str, resource: str) -> TallymarkError:
    """Return the error of a place; ``action`` on ``resource`` is the right that may be missing."""
    (code, status), cause = answer(error), cause_of(error)
    if isinstance(error, _CREDENTIALS) or code in _BAD_KEYS:
        advice = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
        return ConfigError(f"no valid AWS credentials for {uri}: {cause}; {advice}")
    if code == "NoSuchBucket":
        return ConfigError(f"no such bucket: {uri}; check its name and the account or AWS_ENDPOINT_URL in use")
    if code == "InvalidBucketName" or "Invalid bucket name" in cause:
        return ConfigError(f"invalid bucket name in {uri}: S3 knows only 3-63 lower-case letters, digits, '-' and '.'")
    if code in _REGION_CODES:
        return ConfigError(f"wrong region for {uri}: {cause}; set AWS_REGION to the region of the bucket")
    if status == 403:
        return IncompleteError(f"AccessDenied on {uri}: the role needs {action} on {resource} ({cause})")
    return IncompleteError(f"S3 did not do what it was asked on {uri}: {cause}; check the endpoint and run again later")


def answer(error: BaseException) -> tuple[str, int]:
    """Return the code and the HTTP status of what S3 answered, if it answered at all."""
    if not isinstance(error, failures.ClientError):
        return "", 0
    response = error.response
    return str(response.get("Error", {}).get("Code") or ""), response.get("ResponseMetadata", {}).get(
        "HTTPStatusCode", 0
    )


def cause_of(error: BaseException) -> str:
    """Return what S3 or boto3 said on one line, without a password that an endpoint may carry."""
    return re.sub(r"//[^/@\s]+@", "//***@", " ".join(str(error).split()))
