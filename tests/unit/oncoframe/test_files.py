"""Files: local and on object storage (moto's server on loopback) behind the same functions."""

import hashlib
import os
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from oncoframe import files
from oncoframe.errors import FileMissing, Unavailable

HELLO = hashlib.sha256(b"hello").hexdigest()


class Folder:
    """What a bucket is, on the local disk."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)

    def put(self, name: str, content: bytes = b"hello") -> str:
        path = Path(self.root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return str(path)


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.slow)])
def zone(request, tmp_path):
    """Empty place for files, once on the local disk and once on object storage."""
    if request.param == "local":
        return Folder(tmp_path / "zone")
    return request.getfixturevalue("bucket")


@pytest.mark.parametrize(
    ("folder", "path", "joined"),
    [
        ("/landing", "a/b.vcf", "/landing/a/b.vcf"),
        ("/landing", "../b.vcf", "/b.vcf"),
        ("/landing", "/data/b.vcf", "/data/b.vcf"),
        ("/landing", "s3://bucket/b.vcf", "s3://bucket/b.vcf"),
        ("s3://bucket/landing", "a/b.vcf", "s3://bucket/landing/a/b.vcf"),
        ("s3://bucket/landing/", "b.vcf", "s3://bucket/landing/b.vcf"),
        ("s3://bucket/landing", "/data/b.vcf", "/data/b.vcf"),
    ],
)
def test_join__keeps_absolute_paths(folder, path, joined):
    """A path made relative by mistake points at another patient's file or none."""
    assert files.join(folder, path) == joined


def test_join__keeps_the_name_of_a_link(tmp_path):
    """Errors name the path of the sheet, not where a link happens to lead."""
    (tmp_path / "target").touch()
    (tmp_path / "link").symlink_to("target")
    assert files.join(str(tmp_path), "link") == str(tmp_path / "link")


def test_exists__finds_files_and_folders_by_whole_names(zone):
    """On S3 a folder is a prefix: ``P1`` is not there because ``P10`` or ``P1.txt`` is."""
    zone.put("P10/a.dcm")
    zone.put("P2.txt")
    zone.put("P3 old/a.dcm")
    zone.put("P3/a.dcm")
    names = ("P1", "P10", "P2", "P2.txt", "P3", "P4")
    found = [name for name in names if files.exists(f"{zone.root}/{name}")]
    assert found == ["P10", "P2.txt", "P3"]


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "file/inside"])
def test_exists__is_false_for_a_path_that_cannot_be(tmp_path, name):
    """A slip in the sheet must be answered by a sentence, not by an operating system error."""
    (tmp_path / "file").touch()
    assert not files.exists(files.join(str(tmp_path), name))


def test_exists__is_false_for_a_link_in_a_circle(tmp_path):
    """Resolving it raises instead of answering."""
    (tmp_path / "circle").symlink_to("circle")
    assert not files.exists(files.join(str(tmp_path), "circle"))


def test_sha256__of_a_file_is_that_of_its_bytes(zone):
    """Checksums of the laboratory must match those in the feature rows."""
    assert files.sha256(zone.put("a b#1?.txt")) == HELLO


def test_sha256__of_a_folder_depends_on_names_and_content(zone):
    """Two swapped series of a CT are another examination."""
    zone.put("one/1.dcm", b"a")
    zone.put("one/sub/2.dcm", b"b")
    zone.put("same/sub/2.dcm", b"b")
    zone.put("same/1.dcm", b"a")
    zone.put("swapped/1.dcm", b"b")
    zone.put("swapped/sub/2.dcm", b"a")
    one, same, swapped = (files.sha256(f"{zone.root}/{n}") for n in ("one", "same", "swapped"))
    assert one == same != swapped


def test_sha256__of_a_folder_is_the_same_on_both_storages(tmp_path, bucket):
    """A landing zone moved to S3 must not recompute every patient."""
    for name, content in (("1.dcm", b"a"), ("sub/2.dcm", b"b")):
        bucket.put(f"ct/{name}", content)
        (tmp_path / "ct" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "ct" / name).write_bytes(content)
    assert files.sha256(f"{bucket.root}/ct") == files.sha256(str(tmp_path / "ct"))


def test_sha256__skips_the_folder_markers_of_the_s3_console(bucket):
    """An object named like the folder itself is no member, and would be in its way."""
    bucket.put("ct/1.dcm", b"a")
    before = files.sha256(f"{bucket.root}/ct")
    bucket.put("ct/", b"")
    assert files.sha256(f"{bucket.root}/ct") == before


def test_stamp__changes_with_content_and_only_then(zone):
    """A stamp that stays would leave a replaced file unread; one that moves rehashes everything."""
    path = zone.put("a.txt", b"hello")
    before = files.stamp(path)
    assert files.stamp(path) == before
    zone.put("a.txt", b"hullo")
    assert files.stamp(path) != before


def test_stamp__sees_a_replacement_of_equal_size_and_time(tmp_path):
    """``cp -p`` of another specimen of equal size keeps the time: the inode tells."""
    old, new = tmp_path / "a.txt", tmp_path / "b.txt"
    old.write_bytes(b"hello")
    new.write_bytes(b"hullo")
    for file in (old, new):
        os.utime(file, (1e9, 1e9))
    before = files.stamp(str(old))
    new.replace(old)
    assert files.stamp(str(old)) != before


def test_stamp__sees_a_new_member_of_a_folder(zone):
    """One more slice is another scan."""
    zone.put("ct/1.dcm")
    before = files.stamp(f"{zone.root}/ct")
    zone.put("ct/2.dcm")
    assert files.stamp(f"{zone.root}/ct") != before


def test_local_copy__has_the_content_and_the_name(zone):
    """Readers choose by extension, and indexes lie beside their file."""
    with files.local_copy(zone.put("sub/a.vcf.gz", b"content")) as local:
        assert (local.name, local.read_bytes()) == ("a.vcf.gz", b"content")


def test_local_copy__of_a_folder_has_its_members(zone):
    """DICOM readers walk the folder."""
    zone.put("ct/1.dcm", b"1")
    zone.put("ct/sub/2.dcm", b"2")
    with files.local_copy(f"{zone.root}/ct") as local:
        found = {p.relative_to(local).as_posix(): p.read_bytes() for p in local.rglob("*.dcm")}
    assert found == {"1.dcm": b"1", "sub/2.dcm": b"2"}


def test_local_copy__of_an_object_is_gone_afterwards(bucket):
    """A thousand patients' downloads would fill the disk."""
    with files.local_copy(bucket.put("a.txt")) as local:
        assert local.exists()
    assert not local.parent.exists()


def test_read_bytes__reads(zone):
    """The samplesheet may lie on either storage."""
    assert files.read_bytes(zone.put("samplesheet.csv", b"a,b")) == b"a,b"


@pytest.mark.parametrize(
    "function", [files.stamp, files.sha256, files.read_bytes, lambda p: files.local_sha256(Path(p))]
)
def test_missing_file__is_named(tmp_path, function):
    """The ledger shows which path is wrong."""
    with pytest.raises(FileMissing, match=f"{tmp_path}/none: the file is not there"):
        function(str(tmp_path / "none"))


@pytest.mark.parametrize("function", [files.stamp, files.sha256, files.read_bytes])
def test_missing_object__is_named(bucket, function):
    """A missing key and a missing bucket are permanent: no retry brings them back."""
    bucket.put("other")
    with pytest.raises(FileMissing, match="none"):
        function(f"{bucket.root}/none")
    with pytest.raises(FileMissing, match="no-such-bucket"):
        function("s3://no-such-bucket/a")


def test_stamp__of_a_broken_link_in_a_folder_is_a_missing_file(tmp_path):
    """One broken link in one CT folder must not stop the intake of everybody."""
    (tmp_path / "ct").mkdir()
    (tmp_path / "ct" / "1.dcm").symlink_to("gone")
    with pytest.raises(FileMissing, match="ct"):
        files.stamp(str(tmp_path / "ct"))
    with pytest.raises(FileMissing, match="ct"):
        files.sha256(str(tmp_path / "ct"))


@pytest.mark.parametrize("function", [files.exists, files.stamp, files.sha256, files.read_bytes])
def test_storage_that_does_not_answer__is_unavailable_at_once(function, storage_at, closed_port):
    """boto3's own retries take seconds; the driver's backoff already waits, for this patient."""
    storage_at(closed_port)
    start = time.monotonic()
    with pytest.raises(Unavailable, match="bucket/a: object storage did not answer"):
        function("s3://bucket/a")
    assert time.monotonic() - start < 1


LISTED = (
    b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>1000</Size>"
    b'<ETag>"0"</ETag></Contents></ListBucketResult>'
)


class Storage(BaseHTTPRequestHandler):
    """Object storage that lists one object of 1,000 bytes and then lets the reader down."""

    fails_by = "throttling"

    def do_GET(self) -> None:
        if "list-type" in self.path:
            self.answer(200, LISTED, len(LISTED))
        elif self.fails_by == "throttling":
            slow_down = b"<Error><Code>SlowDown</Code></Error>"
            self.answer(503, slow_down, len(slow_down))
        else:
            self.answer(200, b"ten bytes.", 1000)

    def answer(self, status: int, body: bytes, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Tests are silent."""


@pytest.mark.parametrize(("fails_by", "said"), [("throttling", "SlowDown"), ("hanging up", "")])
def test_storage_that_lets_down__is_unavailable(storage_at, monkeypatch, fails_by, said):
    """Throttling and a download that breaks off pass: quarantine would lose the patient."""
    monkeypatch.setattr(Storage, "fails_by", fails_by)
    with HTTPServer(("127.0.0.1", 0), Storage) as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        storage_at(server.server_port)
        with pytest.raises(Unavailable, match=f"s3://bucket/a: object storage .*{said}"):
            files.sha256("s3://bucket/a")
        server.shutdown()
