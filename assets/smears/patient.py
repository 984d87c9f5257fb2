"""A patient's smear: every field opened and judged, and what the good ones say together.

path, optics -> fields -> readings, reasons -> Extraction
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.smears.contract import CELLS
from assets.smears.errors import TooFewFields, reason
from assets.smears.features import FieldReading, read_field, summarise
from assets.smears.fields import Field, list_fields, open_field, scale
from oncoframe import facts
from oncoframe.errors import BadInput
from oncoframe.extraction import Extraction, Facts, FeatureValue, Optics

#: Fewest fields that a row is made of: a patient of the published cohorts had one to many.
MIN_FIELDS = 1
#: Broken fields that a message names; the notes name all.
_NAMED = 3


@dataclass(frozen=True)
class _Judged:
    """Fields of a patient: what was read, and why the others were not."""

    readings: Mapping[str, FieldReading]
    filtered: Mapping[str, str]
    failed: Mapping[str, BadInput]


def read_patient(path: Path, optics: Optics) -> Extraction:
    """Features of a patient's fields, and the account of the fields.

    Parameters
    ----------
    path
        Folder, image or slide.
    optics
        Pixel size, stain and scanner as declared.

    Raises
    ------
    TooFewFields
        If no field is left.
    oncoframe.errors.BadInput
        If all fields fail for one reason, the error of that reason.
    """
    fields = list_fields(path, pixel_size_um=optics.pixel_size_um)
    judged = _judge(fields, optics)
    if len(judged.readings) < MIN_FIELDS:
        raise _too_few(path, fields, judged)
    features, vector = summarise([*judged.readings.values()])
    filtered = Counter(judged.filtered.values())
    failed = Counter(reason(error) for error in judged.failed.values())
    sizes = {
        scale(field, optics.pixel_size_um) for field in fields if field.name in judged.readings
    }
    size_um, source = sizes.pop() if len(sizes) == 1 else (None, None)
    settings: dict[str, FeatureValue] = {
        "fields": len(fields),
        "fields_used": len(judged.readings),
        "fields_left_out": _listed(filtered + failed),
        "pixel_size_um": size_um,
        "pixel_size_source": source,
        "stain": optics.stain,
        "scanner": optics.scanner,
    }
    return Extraction(
        records=len(fields),
        used=len(judged.readings),
        filtered=dict(sorted(filtered.items())),
        failed=dict(sorted(failed.items())),
        features={**settings, **features},
        blocks={CELLS: vector},
        notes={"left_out": _left_out(judged)},
        facts=Facts(
            callers=(optics.scanner,) if optics.scanner else (),
            region=optics.stain,
            region_rule=None,
            measures={"pixel_size_um": size_um} if size_um else {},
        ),
    )


def inspect(
    path: Path | None,
    volume: tuple[Path, Path] | None,
    *,
    settings: str | None,
    mask_rule: str | None,
    own_settings: Path | None,
    optics: Optics | None,
) -> tuple[str, dict[str, Any]]:
    """What ``oncoframe extract smear`` says, and what it prints; only path and optics count.

    Raises
    ------
    oncoframe.errors.BadInput
        If no field can be used.
    """
    del volume, settings, mask_rule, own_settings  # of a CT
    found = read_patient(path or Path(), optics or Optics())
    told = facts.in_words(facts.values(found))
    left_out = found.notes["left_out"]
    lines = [
        f"{found.records} fields, {found.used} used",
        *(f"{what}: {words}" for what, words in told.items()),
        *(f"left out: {name} ({why})" for name, why in left_out.items()),
    ]
    vector = found.blocks[CELLS]
    return "\n".join(lines), {
        "modality": "smear",
        "status": "performed",
        "fields": found.records,
        "used": found.used,
        "filtered": found.filtered,
        "failed": found.failed,
        "left_out": left_out,
        "features": found.features,
        "blocks": {CELLS: None if vector is None else len(vector.names)},
    }


def _judge(fields: tuple[Field, ...], optics: Optics) -> _Judged:
    readings, filtered, failed = {}, {}, {}
    for field in fields:
        try:
            reading = read_field(open_field(field, pixel_size_um=optics.pixel_size_um))
        except BadInput as error:
            failed[field.name] = error
            continue
        if reading.quality.reason:
            filtered[field.name] = reading.quality.reason
        else:
            readings[field.name] = reading
    return _Judged(readings, filtered, failed)


def _left_out(judged: _Judged) -> dict[str, str]:
    failed = {name: reason(error) for name, error in judged.failed.items()}
    return dict(sorted({**judged.filtered, **failed}.items()))


def _too_few(path: Path, fields: tuple[Field, ...], judged: _Judged) -> BadInput:
    left_out = _left_out(judged)
    kinds = {type(error) for error in judged.failed.values()}
    if len(kinds) == 1 and len(judged.failed) == len(fields):
        return next(iter(judged.failed.values()))
    named = ", ".join([*left_out][:_NAMED]) + (", ..." if len(left_out) > _NAMED else "")
    return TooFewFields(
        "no field of the smear can be used",
        where=str(path),
        expected="at least one",
        got=f"{_listed(Counter(left_out.values()))} ({named})" if left_out else "no field at all",
    )


def _listed(reasons: Mapping[str, int]) -> str | None:
    return ", ".join(f"{number} {why}" for why, number in sorted(reasons.items())) or None
