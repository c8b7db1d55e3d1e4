from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tallymark.errors import ConfigError, IncompleteError, ObjectError
from tallymark.io.objects import ObjectStore
from tallymark.io.stored import StoredObject

STORE = ObjectStore()
AS_ROOT = os.geteuid() == 0
NOBODY = 65534


def write(path: Path, content: bytes = b"{}") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def listed(folder: Path | str) -> list[StoredObject]:
    return list(STORE.list_objects(str(folder)))


def paths(folder: Path | str) -> list[str]:
    return [obj.path for obj in listed(folder)]


def read(obj: StoredObject) -> bytes:
    return b"".join(STORE.read_chunks(obj))


@contextmanager
def nobody() -> Iterator[None]:
    """Root may read everything: lower the rights of this process for a moment."""
    if AS_ROOT:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if AS_ROOT:
            os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter: pytest's own are closed to others."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_hidden_empty_and_nested_files_are_listed_in_the_order_of_their_paths(tmp_path: Path) -> None:
    """C9, C13: Spark drops the hidden ones, yields no row for the empty one and does not descend."""
    for name in ("y/f.json", "y/z/g.json", "y-1.json", "_x.json", ".y.json", ".hidden/a.json", "Ü.json"):
        write(tmp_path / name)
    write(tmp_path / "e.json", b"")
    (tmp_path / "no files").mkdir()
    found = listed(tmp_path)
    names = [".hidden/a.json", ".y.json", "_x.json", "e.json", "y-1.json", "y/f.json", "y/z/g.json", "Ü.json"]
    assert [obj.path for obj in found] == names == sorted(names)
    assert {obj.path: obj.size for obj in found}["e.json"] == 0


@pytest.mark.parametrize(
    "name", ["a b+c%20d.json", "a%2Fb.json", "#?&=;.json", "日本 ü.json", "new\nline", "back\\slash"]
)
def test_a_name_is_listed_and_read_as_it_is(tmp_path: Path, name: str) -> None:
    """C10: Spark shows a%20b+c%2520d.json."""
    write(tmp_path / "x" / name, name.encode())
    (obj,) = listed(f"file://{tmp_path}")
    assert (obj.path, obj.uri) == (f"x/{name}", f"{tmp_path}/x/{name}")
    assert read(obj) == name.encode()


def test_a_name_that_is_not_utf8_can_be_shown_and_read(tmp_path: Path) -> None:
    raw = os.path.join(os.fsencode(tmp_path), b"caf\xe9.json")
    with open(raw, "wb") as file:
        file.write(b"coffee")
    (obj,) = listed(tmp_path)
    assert obj.path == r"caf\udce9.json"
    assert obj.path.encode("utf-8")
    assert read(obj) == b"coffee"
    os.unlink(raw)
    with pytest.raises(ObjectError) as caught:
        read(obj)
    assert str(caught.value).encode("utf-8")
    assert caught.value.reason == "DELETED_DURING_RUN"


def test_two_names_that_would_be_shown_alike_are_refused(tmp_path: Path) -> None:
    write(tmp_path / r"caf\udce9.json")
    with open(os.path.join(os.fsencode(tmp_path), b"caf\xe9.json"), "wb"):
        pass
    with pytest.raises(IncompleteError, match="both shown as"):
        listed(tmp_path)


def test_a_prefix_that_is_a_file_yields_that_file(tmp_path: Path) -> None:
    file = write(tmp_path / "x.json", b"12345")
    (obj,) = listed(file)
    assert (obj.path, obj.uri, obj.size, obj.etag) == ("x.json", str(file), 5, None)
    assert (obj.modified_ns, obj.inode) == (file.stat().st_mtime_ns, file.stat().st_ino)


def test_a_folder_does_not_match_a_longer_name(tmp_path: Path) -> None:
    write(tmp_path / "x/a.json")
    write(tmp_path / "xy/b.json")
    assert paths(tmp_path / "x") == paths(f"{tmp_path}/x/") == ["a.json"]


def test_a_missing_folder_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such folder or file: .*/nothing; check the path"):
        listed(tmp_path / "nothing")
    write(tmp_path / "file")
    with pytest.raises(ConfigError, match="no such folder"):
        listed(tmp_path / "file/below")


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    write(tmp_path / "outside/a.json", b"linked")
    root = tmp_path / "root"
    write(root / "real/b.json")
    (root / "file.json").symlink_to(tmp_path / "outside/a.json")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "real/up").symlink_to(root)
    found = listed(root)
    assert [obj.path for obj in found] == ["file.json", "folder/a.json", "real/b.json"]
    assert read(found[0]) == b"linked"


def test_a_link_that_leads_nowhere_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "lost").symlink_to(tmp_path / "gone")
    with pytest.raises(IncompleteError, match=r"/lost: its link leads nowhere"):
        listed(tmp_path)


def test_pipes_and_sockets_are_not_passed_over_and_never_opened(tmp_path: Path) -> None:
    """Opening a pipe would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(IncompleteError, match=r"/pipe is a device, pipe or socket"):
        listed(tmp_path)
    (tmp_path / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(os.path.relpath(tmp_path / "socket"))
        with pytest.raises(IncompleteError, match="/socket is a device, pipe or socket"):
            listed(tmp_path)


def test_a_folder_that_may_not_be_read_is_named(open_folder: Path) -> None:
    write(open_folder / "a.json")
    (open_folder / "closed").mkdir(mode=0)
    with nobody(), pytest.raises(IncompleteError, match=r"no permission to list .*/closed: give this user read"):
        listed(open_folder)


def test_a_file_that_may_not_be_read_is_listed_and_its_reading_is_an_error(open_folder: Path) -> None:
    write(open_folder / "secret.json").chmod(0)
    with nobody():
        (obj,) = listed(open_folder)
        with pytest.raises(ObjectError, match="ACCESS_DENIED"):
            read(obj)


def test_bytes_come_in_chunks_of_the_asked_size(tmp_path: Path) -> None:
    content = os.urandom(2500)
    (obj,) = listed(write(tmp_path / "x", content))
    assert [len(chunk) for chunk in STORE.read_chunks(obj, 1000)] == [1000, 1000, 500]
    assert read(obj) == content


def test_a_file_overwritten_after_the_listing_is_an_error(tmp_path: Path) -> None:
    """C18: another size, only another time, and only another inode."""
    file = write(tmp_path / "x", b"before")
    (obj,) = listed(file)
    os.utime(file, ns=(obj.modified_ns, obj.modified_ns + 1))
    for change in ("time", "size", "inode"):
        if change == "size":
            file.write_bytes(b"longer than before")
        if change == "inode":
            os.link(write(tmp_path / "keeps the inode in use"), tmp_path / "again")
            file.rename(tmp_path / "old")
            write(file, b"before")
        os.utime(file, ns=(obj.modified_ns, obj.modified_ns + (change == "time")))
        with pytest.raises(ObjectError) as caught:  # before the first byte
            next(STORE.read_chunks(obj))
        assert caught.value.reason == "CHANGED_DURING_RUN", change


def test_a_file_that_grows_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    file = write(tmp_path / "x", b"x" * 10)
    (obj,) = listed(file)
    chunks = STORE.read_chunks(obj, 4)
    assert next(chunks) == b"xxxx"
    with file.open("ab") as more:
        more.write(b"more")
    with pytest.raises(ObjectError) as caught:
        list(chunks)
    assert caught.value.reason == "CHANGED_DURING_RUN"


def test_a_file_deleted_after_the_listing_is_an_error(tmp_path: Path) -> None:
    file = write(tmp_path / "x")
    (obj,) = listed(file)
    file.unlink()
    with pytest.raises(ObjectError) as caught:
        read(obj)
    assert caught.value.reason == "DELETED_DURING_RUN"


def test_publishing_makes_folders_replaces_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    source = write(tmp_path / "temporary", b"new")
    target = tmp_path / "a/b c/report.csv"
    STORE.put_file(source, str(target))
    write(target, b"old")
    STORE.put_file(source, f"file://{target}")
    assert target.read_bytes() == source.read_bytes() == b"new"
    assert [file.name for file in target.parent.iterdir()] == ["report.csv"]


def test_a_writer_killed_midway_leaves_the_old_file_whole(tmp_path: Path) -> None:
    target = write(tmp_path / "report.csv", b"old")
    code = (
        "import os, sys; from tallymark.io import local\n"
        "def chunks():\n"
        "    yield b'half'\n"
        "    os.kill(os.getpid(), 9)\n"
        "local.publish_chunks(chunks(), sys.argv[1])"
    )
    lib = Path(__file__).parents[2] / "lib"
    done = subprocess.run([sys.executable, "-c", code, str(target)], env={"PYTHONPATH": str(lib)}, check=False)
    assert done.returncode == -9
    assert target.read_bytes() == b"old"


def test_a_failed_write_leaves_no_rest_and_names_the_place(tmp_path: Path) -> None:
    source = write(tmp_path / "temporary")
    (tmp_path / "out/report.csv").mkdir(parents=True)
    with pytest.raises(IncompleteError, match=r"cannot write .*/out/report.csv: .*directory"):
        STORE.put_file(source, str(tmp_path / "out/report.csv"))
    assert os.listdir(tmp_path / "out") == ["report.csv"]
