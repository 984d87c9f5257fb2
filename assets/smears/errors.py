"""Errors of smears: the branch of :mod:`oncoframe.errors` that says what ails a field of view.

    BadInput
    ├── NotAnImage        a file that is no PNG, JPEG, TIFF or whole-slide image
    ├── GrayscaleField    an image without colour: stains cannot be told apart
    ├── NoPixelSize       nobody says how many micrometres a pixel has
    ├── FieldSize         an image too small to hold a cell, or too large to be a field
    └── TooFewFields      no field of the patient is left to describe

Zero bytes and images that end early are ``EmptyFile`` and ``TruncatedFile``. Of several fields the
others go on; the reason of each is counted.
"""

import re

from oncoframe.errors import BadInput


class NotAnImage(BadInput):
    """A file that is no image of a kind that is read."""


class GrayscaleField(BadInput):
    """A field without colour."""


class NoPixelSize(BadInput):
    """A field whose scale is unknown or cannot be that of a microscope."""


class FieldSize(BadInput):
    """A field too small or too large to be one."""


class TooFewFields(BadInput):
    """A patient none of whose fields can be used."""


def reason(error: BadInput) -> str:
    """Name of an error as a reason of the account: ``NotAnImage`` is ``not_an_image``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", error.name).lower()
