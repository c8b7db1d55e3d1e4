"""How the errors of google-cloud-storage become those of Tallymark: of one object a reason, of a place a class.

Knows no request and no client; called by ``gcs`` only.
"""

from __future__ import annotations

import re

import requests
import urllib3.exceptions
from google.api_core.exceptions import GoogleAPICallError
from google.auth import exceptions as auth

from tallymark.errors import ConfigError, IncompleteError, ObjectError, TallymarkError
from tallymark.io.stored import StoredObject

FAILURES = (GoogleAPICallError, auth.GoogleAuthError, requests.RequestException, urllib3.exceptions.HTTPError, OSError)
_LOST = (auth.TransportError, requests.RequestException, urllib3.exceptions.HTTPError, OSError)
_BUSY = {408, 429, 500, 502, 503, 504}

_ADVICE = {
    "ACCESS_DENIED": "the account needs storage.objects.get on it",
    "CHANGED_DURING_RUN": "it was written after it was listed; run again when it is at rest",
    "CHECKSUM_MISMATCH": "the bytes that came do not have the CRC32C that GCS keeps; run again, else restore it",
    "DELETED_DURING_RUN": "it was listed and is gone; restore it and run again",
    "NO_CREDENTIALS": "the process that reads found none that GCS accepts; give the executors a service account",
    "UNAVAILABLE": "GCS did not answer in spite of retries; run again later",
    "UNREADABLE": "see what GCS said",
}
_BY_STATUS = {
    401: "NO_CREDENTIALS",
    403: "ACCESS_DENIED",
    404: "DELETED_DURING_RUN",
    412: "CHANGED_DURING_RUN",
    416: "CHANGED_DURING_RUN",
}


def reading_error(error: BaseException, obj: StoredObject) -> ObjectError:
    """Return the error that one object's row shows."""
    return object_error(obj, _reason(error), cause_of(error))


def object_error(obj: StoredObject, reason: str, cause: str) -> ObjectError:
    """Return the error of an object for one of the reasons that are known here."""
    return ObjectError(obj.uri, reason, f"{_ADVICE[reason]} ({cause})")


def _reason(error: BaseException) -> str:
    if is_passing(error):
        return "UNAVAILABLE"
    if isinstance(error, auth.GoogleAuthError):
        return "NO_CREDENTIALS"
    return _BY_STATUS.get(status_of(error), "UNREADABLE")


def is_passing(error: BaseException) -> bool:
    """Tell whether it may go well the next time."""
    return isinstance(error, _LOST) or status_of(error) in _BUSY


def place_error(error: BaseException, uri: str, right: str) -> TallymarkError:
    """Return the error of a place; ``right`` is the one that may be missing."""
    status, cause = status_of(error), cause_of(error)
    if status == 401 or (isinstance(error, auth.GoogleAuthError) and not is_passing(error)):
        advice = "run `gcloud auth application-default login`, or give the machine a service account"
        return ConfigError(f"no valid Google credentials for {uri}: {cause}; {advice}")
    if status == 404:
        return ConfigError(f"no such bucket: {uri}; check its name")
    if status == 400 and "bucket name" in cause.lower():
        return ConfigError(f"invalid bucket name in {uri}: {cause}")
    if status == 403:
        return IncompleteError(f"AccessDenied on {uri}: the account needs {right} ({cause})")
    return IncompleteError(f"GCS did not do what it was asked on {uri}: {cause}; run again later")


def status_of(error: BaseException) -> int:
    """Return the HTTP status of what GCS answered, 0 if it did not."""
    return int(error.code or 0) if isinstance(error, GoogleAPICallError) else 0


def cause_of(error: BaseException) -> str:
    """Return what GCS or its client said, on one line and without the queries of urls: that of an upload is a key."""
    said = error.message if isinstance(error, GoogleAPICallError) else str(error)
    return re.sub(r"(https?://[^\s?]*)\?\S*", r"\1", " ".join(str(said).split()))
