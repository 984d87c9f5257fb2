"""Text in the picture itself, which no filter of attributes removes: suspected, never erased.

header and pixels of one file -> reasons to have a person look
"""

import numpy as np
from pydicom import Dataset

from assets.imaging.dicom_files import DicomFile
from assets.imaging.series import CT_CLASSES

#: Corner of an image in which text is written, as a share of its edges.
_CORNER = 0.15
#: Saturated pixels that look like letters, and their distance from the background.
_INK_PIXELS, _INK_CONTRAST = 12, 500


def burned_in(file: DicomFile, clean: Dataset) -> list[str]:
    """Reasons to suspect text in the picture of a file; empty for none.

    Parameters
    ----------
    file
        The original.
    clean
        Its copy, with pixels.
    """
    reasons = []
    if file.text("BurnedInAnnotation") == "YES":
        reasons.append("said_to_have_burned_in_annotation")
    if {"SECONDARY", "SCREEN SAVE", "SCREENSAVE"} & set(file.header.get("ImageType") or ()):
        reasons.append("secondary_image")
    if any(0x6000 <= tag.group <= 0x601E for tag in file.header.keys()):  # noqa: PLR2004, SIM118
        reasons.append("overlay_plane_removed")
    syntax = clean.file_meta.TransferSyntaxUID
    if file.text("SOPClassUID") in CT_CLASSES and not syntax.is_compressed:
        bits = int(clean.get("BitsAllocated", 0))
        if bits in (8, 16) and _has_ink(clean, bits):
            reasons.append("letters_in_a_corner")
    return reasons


def _has_ink(clean: Dataset, bits: int) -> bool:
    """Whether the corners of an image, where there is air, hold saturated pixels."""
    kind = f"<{'i' if clean.PixelRepresentation else 'u'}{bits // 8}"
    rows, columns = int(clean.Rows), int(clean.Columns)
    stored = np.frombuffer(clean.PixelData, kind)[: rows * columns].reshape(rows, columns)
    high, wide = max(1, int(rows * _CORNER)), max(1, int(columns * 3 * _CORNER))
    parts = [
        stored[:high, :wide],
        stored[:high, -wide:],
        stored[-high:, :wide],
        stored[-high:, -wide:],
    ]
    return any(
        (part == stored.max()).sum() >= _INK_PIXELS
        and float(stored.max()) - float(np.median(part)) > _INK_CONTRAST
        for part in parts
    )
