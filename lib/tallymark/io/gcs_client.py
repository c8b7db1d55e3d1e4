"""The client of google-cloud-storage: one per process and settings, shared by its threads. Called by ``gcs`` only."""

from __future__ import annotations

import os
import threading

import google.auth
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud.storage import Bucket, Client
from requests.adapters import HTTPAdapter

from tallymark.io.stored import GcsSettings

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_CONNECTIONS = 32

_clients: dict[tuple[int, GcsSettings], Client] = {}
_clients_lock = threading.Lock()


def bucket(settings: GcsSettings, name: str) -> Bucket:
    """Return a bucket, unasked, of the client of this process; after a fork the child makes its own.

    Raises:
        google.auth.exceptions.DefaultCredentialsError: there are no application default credentials.
    """
    key = (os.getpid(), settings)
    with _clients_lock:
        if key not in _clients:
            _clients[key] = _new_client(settings)
        return _clients[key].bucket(name)


def _new_client(settings: GcsSettings) -> Client:
    endpoint = settings.endpoint_url
    credentials = AnonymousCredentials() if endpoint else google.auth.default(scopes=[_SCOPE])[0]
    options = ClientOptions(api_endpoint=endpoint) if endpoint else None
    session = AuthorizedSession(credentials)
    # As many connections as there are threads: the ten of requests are dropped and made anew all the time.
    session.mount("https://", HTTPAdapter(pool_maxsize=_CONNECTIONS))
    session.mount("http://", HTTPAdapter(pool_maxsize=_CONNECTIONS))
    # A project is needed only by those who make buckets.
    client = Client(project="none", credentials=credentials, client_options=options, _http=session)
    # For traces that nobody collects, it would ask for each bucket in the background, and need a right of its own.
    client._bucket_metadata_cache = None
    return client
