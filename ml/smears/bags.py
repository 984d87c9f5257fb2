"""Bags: the fields of one patient as arrays that a network reads again and again.

    fields at one declared size -> write_bag -> <folder>/<key>/000.npy ... -> open_fields

A bag is named by the pixels in it, so a bag that is there is the right one. Decoding, scale and
quality belong to ``assets/smears``; here a field is an array. No torch.
"""

import tempfile
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from oncoframe.errors import StudyError

#: Feature of the smear table that names the bag of a row.
FIELDS = "fields_sha256"


def field_key(field: np.ndarray) -> str:
    """SHA-256 over shape and pixels of a field."""
    digest = sha256(repr((field.shape, field.dtype.str)).encode())
    digest.update(np.ascontiguousarray(field).tobytes())
    return digest.hexdigest()


def bag_key(fields: Iterable[str]) -> str:
    """SHA-256 over the keys of fields, in their order."""
    return sha256("\n".join(fields).encode()).hexdigest()


def write_bag(folder: Path, fields: Sequence[np.ndarray]) -> Path:
    """Write a bag below a folder, unless it is there, and return its own folder.

    Parameters
    ----------
    fields
        (H, W, 3) arrays of uint8, at least one; shapes may differ.
    """
    made = folder / bag_key(map(field_key, fields))
    if made.is_dir():
        return made
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        # Under another name first: a bag is there as a whole or not at all.
        written = Path(scratch) / made.name
        written.mkdir()
        for number, field in enumerate(fields):
            np.save(written / f"{number:03d}.npy", field)
        written.rename(made)
    return made


def field_files(bag: Path) -> tuple[Path, ...]:
    """Files of the fields of a bag, in order.

    Raises
    ------
    StudyError
        If there is none.
    """
    files = tuple(sorted(bag.glob("*.npy")))
    if not files:
        raise StudyError("the fields of a patient are not prepared", where=f"bag {bag.name[:12]}")
    return files


def refuse_shared_fields(bags: Sequence[Path]) -> None:
    """Refuse patients who share a field, also if it was turned or mirrored for one of them.

    Then one of them would be tested with what the other one taught: two specimens of one person
    under two names, a field filed twice, or copies that were augmented before the split.

    Raises
    ------
    StudyError
        If two bags share a field.
    """
    seen: dict[bytes, list[Path]] = {}
    for bag in bags:
        for file in field_files(bag):
            alike = seen.setdefault(_colours(np.load(file)), [])
            for other in alike:
                if other.parent != bag and _either_side_up(file) == _either_side_up(other):
                    raise StudyError(
                        "two patients share a field of a smear",
                        got="the same pixels, perhaps turned or mirrored",
                        hint="One person under two names, or a field filed twice; leave one out.",
                    )
            alike.append(file)


def _colours(field: np.ndarray) -> bytes:
    """How often each value occurs, channel by channel; turning a field changes nothing of it."""
    return b"".join(np.bincount(channel.ravel(), minlength=256).tobytes() for channel in field.T)


def _either_side_up(file: Path) -> str:
    """Hash that a field shares with its quarter turns and mirror images, and with no other."""
    field = np.load(file)
    sides = (np.rot90(side, turns) for side in (field, field[:, ::-1]) for turns in range(4))
    return min(map(field_key, sides))
