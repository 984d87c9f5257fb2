"""Files of the landing zone, local or on S3, behind the same few functions.

    path -> exists / stamp / sha256 -> local_copy -> an extractor reads a local path

The only module that talks to object storage; boto3 finds address and credentials the standard way
(``AWS_*`` variables). What a file contains is not looked at here.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from oncoframe.errors import FileMissing, Unavailable

if TYPE_CHECKING:
    from botocore.client import BaseClient

S3 = "s3://"
_CHUNK_BYTES = 1 << 20
_GONE = {"404", "NoSuchKey", "NotFound", "NoSuchBucket"}


def join(folder: str, path: str) -> str:
    """``path`` below ``folder``; an absolute path or ``s3://`` address stays as it is."""
    if path.startswith(S3):
        return path
    if folder.startswith(S3) and not path.startswith("/"):
        return f"{folder.rstrip('/')}/{path}"
    # Links are not followed: an error names the path as its user wrote it.
    return os.path.abspath(os.path.join(folder, path))  # noqa: PTH100, PTH118


def exists(path: str) -> bool:
    """Whether a file, or a folder with content, is there.

    Raises
    ------
    Unavailable
        If object storage does not answer.
    """
    if not path.startswith(S3):
        # Path.exists raises on a name that no file system can hold.
        return os.path.exists(path)  # noqa: PTH110
    bucket, key = _s3_address(path)
    for prefix in (key, f"{key.rstrip('/')}/"):
        listed = _s3_call("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1)
        first = [entry["Key"] for entry in listed.get("Contents", [])]
        if first and (first[0] == key or prefix.endswith("/")):
            return True
    return False


def stamp(path: str) -> str:
    """Cheap sign of change: sizes and modification times (S3: ETags); equal means unchanged.

    Raises
    ------
    FileMissing
        If nothing is there.
    Unavailable
        If it could not be looked at this time.
    """
    if path.startswith(S3):
        parts = [f"{e['Key']}:{e['Size']}:{e['ETag']}" for e in _s3_entries(path)]
    else:
        with _readable(path):
            status = {name: file.stat() for name, file in _members(Path(path))}
        parts = [
            f"{name}:{file.st_size}:{file.st_mtime_ns}:{file.st_ino}"
            for name, file in status.items()
        ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def sha256(path: str) -> str:
    """SHA-256 of a file's bytes; of a folder, over its sorted names and their hashes.

    Raises
    ------
    FileMissing
        If nothing is there.
    Unavailable
        If it could not be read this time.
    """
    with local_copy(path) as local:
        return local_sha256(local)


def local_sha256(path: Path) -> str:
    """SHA-256 of a local file or folder, see :func:`sha256`."""
    with _readable(str(path)):
        if path.is_file():
            return _digest(path)
        lines = [f"{name} {_digest(file)}" for name, file in _members(path)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_bytes(path: str) -> bytes:
    """Whole content of a small file.

    Raises
    ------
    FileMissing
        If it is not there.
    Unavailable
        If it could not be read this time.
    """
    with local_copy(path) as local, _readable(path):
        if not local.is_file():
            raise FileMissing("the file is not there", where=path)
        return local.read_bytes()


@contextmanager
def local_copy(path: str) -> Iterator[Path]:
    """Local path with the content of ``path``: itself, or a temporary download from S3.

    Raises
    ------
    FileMissing
        If nothing is there.
    Unavailable
        If object storage does not answer.
    """
    if not path.startswith(S3):
        if not exists(path):
            raise FileMissing("the file is not there", where=path)
        yield Path(path)
        return
    bucket, key = _s3_address(path)
    with tempfile.TemporaryDirectory(prefix="oncoframe-") as folder:
        target = Path(folder) / PurePosixPath(key).name
        for entry in _s3_entries(path):
            inside = entry["Key"].removeprefix(key).lstrip("/")
            local = target / inside if inside else target
            local.parent.mkdir(parents=True, exist_ok=True)
            with local.open("wb") as sink:
                _download(bucket, entry["Key"], sink)
        yield target


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise FileMissing("the file is not there", where=path) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Unavailable("the file could not be read", where=path, got=reason) from error


def _members(path: Path) -> list[tuple[str, Path]]:
    if not path.exists():
        raise FileMissing("the file is not there", where=str(path))
    if path.is_file():
        return [("", path)]
    inside = (Path(root) / name for root, _, names in os.walk(path) for name in names)
    return sorted((file.relative_to(path).as_posix(), file) for file in inside)


def _digest(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


@cache
def _s3_client() -> "BaseClient":
    import boto3  # noqa: PLC0415  (0.2 s that a local landing zone does not need)
    from botocore.config import Config  # noqa: PLC0415

    # The driver tries again, patient by patient; tries below it would only add up.
    once = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=10)
    return boto3.client("s3", config=once)


def _s3_address(path: str) -> tuple[str, str]:
    bucket, _, key = path.removeprefix(S3).partition("/")
    return bucket, key


@contextmanager
def _s3_answers(where: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _GONE:
            raise FileMissing("the file is not there", where=where) from error
        raise Unavailable("object storage refused", where=where, got=code) from error
    except BotoCoreError as error:
        what = "object storage did not answer"
        raise Unavailable(what, where=where, got=type(error).__name__) from error


def _s3_call(operation: str, **arguments: Any) -> Any:
    where = f"{S3}{arguments['Bucket']}/{arguments.get('Prefix', arguments.get('Key', ''))}"
    with _s3_answers(where):
        return getattr(_s3_client(), operation)(**arguments)


def _s3_entries(path: str) -> list[dict[str, Any]]:
    bucket, key = _s3_address(path)
    entries: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        page = _s3_call("list_objects_v2", Bucket=bucket, Prefix=key, **token)
        entries += [
            entry
            for entry in page.get("Contents", [])
            if entry["Key"] == key or entry["Key"].startswith(f"{key.rstrip('/')}/")
            # The S3 console marks an empty folder by an object of its name.
            if not entry["Key"].endswith("/")
        ]
        if not page.get("IsTruncated"):
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    if not entries:
        raise FileMissing("the file is not there", where=path)
    return sorted(entries, key=lambda entry: str(entry["Key"]))


def _download(bucket: str, key: str, sink: IO[bytes]) -> None:
    body = _s3_call("get_object", Bucket=bucket, Key=key)["Body"]
    with _s3_answers(f"{S3}{bucket}/{key}"):
        for chunk in body.iter_chunks(_CHUNK_BYTES):
            sink.write(chunk)
