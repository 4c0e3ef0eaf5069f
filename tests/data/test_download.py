"""Fetching from a server that cuts connections, forgets ranges, changes its file and sends wrong bytes."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from msfp.data.download import CHUNK, fetch, remote_size
from msfp.errors import InputError, MsfpError

BODY = np.random.default_rng(0).bytes(3_000_000)


@dataclass
class Site:
    """What the server serves, and how it misbehaves.

    Attributes:
        files: path -> bytes.
        cuts: for each coming request, after how many bytes the connection is cut; none left: whole.
        ranges: whether partial requests are honoured.
        statuses: for each coming GET, a status to answer with in place of the file.
        asked: the Range header of each GET.
    """

    files: dict[str, bytes]
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    statuses: list[int] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)
    address: str = ""


@pytest.fixture
def site() -> Iterator[Site]:
    here = Site({"/big.zip": BODY})

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            body = here.files.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()

        def do_GET(self) -> None:
            here.asked.append(self.headers.get("Range"))
            body = here.files.get(self.path)
            if here.statuses and (status := here.statuses.pop(0)):
                self.send_error(status)
                return
            if body is None:
                self.send_error(404)
                return
            mark = f'"{hashlib.md5(body).hexdigest()}"'
            start = self._start(body, mark)
            if start is not None and start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.end_headers()
                return
            self.send_response(200 if start is None else 206)
            if start is not None:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            rest = body[start or 0 :]
            self.send_header("ETag", mark)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest[: here.cuts.pop(0)] if here.cuts else rest)
            self.close_connection = True

        def _start(self, body: bytes, mark: str) -> int | None:
            asked = self.headers.get("Range")
            if not asked or not here.ranges or self.headers.get("If-Range", mark) != mark:
                return None
            return int(asked.removeprefix("bytes=").rstrip("-"))

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield here
    server.shutdown()
    thread.join()
    server.server_close()


def get(site: Site, folder: Path, **options: object) -> bytes:
    return fetch(f"{site.address}/big.zip", folder / "big.zip", **options).read_bytes()  # type: ignore[arg-type]


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_comes_whole_and_nothing_else_stays(site, tmp_path):
    assert get(site, tmp_path) == BODY
    assert left(tmp_path) == ["big.zip"]


def test_a_file_that_is_there_is_not_fetched_again(site, tmp_path):
    get(site, tmp_path)
    site.asked.clear()
    assert get(site, tmp_path) == BODY
    assert site.asked == []


def test_cut_connections_are_taken_up_where_they_broke(site, tmp_path):
    site.cuts = [1_200_000, 900_000]
    told: list[int] = []
    assert get(site, tmp_path, progress=told.append) == BODY
    starts = [int(asked[6:-1]) for asked in site.asked if asked]
    assert 1_200_000 - CHUNK < starts[0] <= 1_200_000
    assert starts[0] + 900_000 - CHUNK < starts[1] <= starts[0] + 900_000
    assert sum(told) == len(BODY)


def test_a_server_without_ranges_sends_the_whole_again(site, tmp_path):
    site.cuts, site.ranges = [1_200_000], False
    assert get(site, tmp_path) == BODY


def test_a_later_call_goes_on_and_a_changed_file_is_begun_anew(site, tmp_path):
    site.statuses = [0] + [503] * 6
    site.cuts = [500_000]
    with pytest.raises(MsfpError, match=r"broke 6 times without progress .* 458,752 bytes are kept"):
        get(site, tmp_path)
    assert left(tmp_path) == [".big.zip.part", ".big.zip.part.json"]
    site.files["/big.zip"] = BODY[::-1]
    assert get(site, tmp_path) == BODY[::-1]
    assert site.asked[-1] == "bytes=458752-"


def test_a_part_longer_than_the_file_is_begun_anew(site, tmp_path):
    (tmp_path / ".big.zip.part").write_bytes(BODY + b"more")
    assert get(site, tmp_path) == BODY


def test_a_part_that_is_whole_already_is_taken(site, tmp_path):
    (tmp_path / ".big.zip.part").write_bytes(BODY)
    assert get(site, tmp_path) == BODY


def test_wrong_bytes_are_refused_and_removed(site, tmp_path):
    right = hashlib.sha256(BODY).hexdigest()
    site.files["/big.zip"] = BODY[:-1] + b"?"
    with pytest.raises(InputError, match="checksum is not the published one"):
        get(site, tmp_path, sha256=right)
    assert left(tmp_path) == []
    site.files["/big.zip"] = BODY
    assert get(site, tmp_path, sha256=right) == BODY


@pytest.mark.parametrize("status", [403, 404, 410])
def test_what_is_not_there_is_told_at_once(site, tmp_path, status):
    site.statuses = [status] * 9
    with pytest.raises(InputError, match=rf"answered {status}; look whether .* --mirror"):
        get(site, tmp_path)
    assert len(site.asked) == 1


def test_sizes_come_from_the_server(site):
    assert remote_size(f"{site.address}/big.zip") == len(BODY)
    with pytest.raises(InputError, match="answered 404"):
        remote_size(f"{site.address}/none.zip")
    with pytest.raises(InputError, match="cannot be reached"):
        remote_size("http://127.0.0.1:9/none.zip")


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b"null", b"{}", b'"x"', b"7", b'{"mark": ["x"]}', b"\xff\xfe"])
def test_a_note_that_cannot_be_read_is_no_mark(site, tmp_path, note):
    (tmp_path / ".big.zip.part").write_bytes(BODY[:1000])
    (tmp_path / ".big.zip.part.json").write_bytes(note)
    assert get(site, tmp_path) == BODY
    assert left(tmp_path) == ["big.zip"]
