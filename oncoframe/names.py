r"""Column names: a bijection between the field's names and names every tool accepts.

    "BCR::ABL1" -> encode -> "BCR_u3a__u3a_ABL1" -> decode -> "BCR::ABL1"

Feast's DuckDB store breaks on ``:`` and on a trailing ``_x`` or ``_y`` (the suffixes of a pandas
merge), LightGBM on ``: [ ] , { } "``, XGBoost on ``[ ] <``. Letters, digits and underscores pass
unchanged; every other character becomes ``_u<hex>_``. Two names differ after encoding if they
differed before, also when only in case.
"""

import re
from functools import cache

_ESCAPE = re.compile(r"_u([0-9a-f]+)_")
# An underscore that would read like the start of an escape is escaped itself.
_UNSAFE = re.compile(r"[^A-Za-z0-9_]|_(?=u[0-9a-f])")
_MERGE_SUFFIX = re.compile(r"_[xy]$")


def _escape(character: str) -> str:
    return f"_u{ord(character):x}_"


@cache
def encode(name: str, *, unlike: str | None = None) -> str:
    """Safe column name of a domain name; ASCII letters, digits and underscores only.

    Parameters
    ----------
    name
        Any non-empty text, for example ``TP53[R175H]``.
    unlike
        A name that is equal up to case and has the plain column: Delta and DuckDB take the two
        for one, so the letters of another case are escaped (``hla_a`` beside ``HLA_A`` becomes
        ``_u68__u6c__u61___u61_``). Decoding does not need it.

    Raises
    ------
    ValueError
        If the name is empty.
    """
    if not name:
        msg = "a column needs a name; got an empty one"
        raise ValueError(msg)
    unsafe = {match.start() for match in _UNSAFE.finditer(name)}
    if unlike is not None and len(unlike) == len(name):
        unsafe |= {
            i for i, (mine, other) in enumerate(zip(name, unlike, strict=True)) if mine != other
        }
    safe = "".join(_escape(letter) if i in unsafe else letter for i, letter in enumerate(name))
    if safe[0].isdigit():
        safe = _escape(safe[0]) + safe[1:]
    if _MERGE_SUFFIX.search(safe):
        safe = safe[:-1] + _escape(safe[-1])
    return safe


def decode(column: str) -> str:
    """Domain name of a safe column name; the inverse of :func:`encode`."""
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)), column)
