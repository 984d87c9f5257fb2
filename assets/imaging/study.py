"""A patient's CT study: series, volume and mask, and the features of the tumour.

    folder -> scan -> choice -> volume, mask -> radiomic features + covariates

Several masks of one CT cost one reading and one filtering.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from assets.imaging.contract import COVARIATES, SETTINGS
from assets.imaging.copies import Order, read_order
from assets.imaging.covariates import covariates
from assets.imaging.dicom_files import check_folder, scan
from assets.imaging.errors import AbsentImages
from assets.imaging.features import CtFeatures
from assets.imaging.hounsfield import check_hounsfield
from assets.imaging.mask import read_mask
from assets.imaging.overlay import overlay
from assets.imaging.radiomics import compute_features
from assets.imaging.ready import find_pair, read_pair
from assets.imaging.rules import MaskRule
from assets.imaging.series import SeriesAccount, choose
from assets.imaging.settings import Settings, load_settings
from assets.imaging.targets import RTSTRUCT_CLASS
from assets.imaging.volume import Volume, read_volume
from oncoframe import facts
from oncoframe.errors import OncoFrameError
from oncoframe.extraction import Extraction, FeatureValue


@dataclass(frozen=True)
class CtStudy:
    """A CT volume with its tumour mask.

    Parameters
    ----------
    volume
        The CT.
    mask : (Z, Y, X) array of bool
        The tumour.
    source
        What the mask came from: ``rtstruct``, ``seg`` or ``volume``.
    facts
        What was segmented and how it is known, as columns of the row.
    notes
        More of the same, for a person.
    series
        Every series of the folder and what became of it.
    scan_covariates
        How the CT was made, see :func:`assets.imaging.covariates.covariates`.
    """

    volume: Volume
    mask: np.ndarray
    source: str
    facts: dict[str, FeatureValue]
    notes: dict[str, Any]
    series: tuple[SeriesAccount, ...]
    scan_covariates: dict[str, FeatureValue] = field(default_factory=dict)


def read_study(folder: Path, rule: MaskRule | None = None) -> CtStudy:
    """CT volume and tumour mask of a folder of DICOM files.

    Parameters
    ----------
    folder
        Files of one patient in any layout; a DICOMDIR file stands for its folder.
    rule
        Which segmentation to take, see :class:`~assets.imaging.rules.MaskRule`.

    Raises
    ------
    oncoframe.errors.BadInput
        If the study cannot be used; :mod:`assets.imaging.errors` lists why.
    """
    if folder.is_file() and folder.name.upper() == "DICOMDIR":
        folder = folder.parent
    check_folder(folder)
    rule = rule or MaskRule()
    choice = choose(scan(folder))
    volume = read_volume(choice.ct, str(folder))
    mask = read_mask(choice.targets, volume, rule)
    source = mask.targets[0].file
    references = choice.references[source.path]
    if references.known_by == "absent_images" and not rule.absent_images:
        raise AbsentImages(
            "the segmentation was drawn on images that are not in the folder",
            where=source.where,
            expected="the CT series that it names",
            got=f"none of the {references.named} images that it names",
            hint="Land that series, or add +absent_images to the rule for masks.",
        )
    return CtStudy(
        volume,
        mask.voxels,
        "rtstruct" if source.text("SOPClassUID") == RTSTRUCT_CLASS else "seg",
        {
            "roi": mask.name,
            "roi_rule": mask.chosen_by,
            "mask_reference": references.known_by,
            "interpolated_slices": mask.interpolated_slices,
            "modality_source": "dicom",
        },
        {
            "structures": [target.name for target in choice.targets],
            "images_named": references.named,
            "images_present": references.present,
        },
        tuple(choice.account(list(mask.targets))),
        covariates(choice.ct[0].header),
    )


def inspect(
    path: Path | None,
    volume: tuple[Path, Path] | None,
    *,
    settings: str | None,
    mask_rule: str | None,
    own_settings: Path | None = None,
) -> tuple[str, dict[str, Any]]:
    """What ``oncoframe extract ct`` says, and what it prints of a folder or a volume and its mask.

    ``own_settings`` is the folder of the center's own radiomics settings.

    Raises
    ------
    oncoframe.errors.OncoFrameError
        If the study, the settings or the rule cannot be used.
    """
    chosen = load_settings(settings or SETTINGS, own_settings)
    rule = MaskRule.parse(mask_rule) if mask_rule else None
    if volume is not None:
        found = extract_volume(*volume, settings=chosen, rule=rule)
    else:
        found = extract_folder(path or Path(), settings=chosen, rule=rule)
    said = f"{found.slices} slices, {found.mask_voxels} voxels in the mask; settings {chosen.name}"
    told = facts.in_words(facts.values(found.extraction()))
    lines = [said, *(f"{what}: {words}" for what, words in told.items())]
    return "\n".join(lines), found.as_json()


def extract_landed(folder: Path) -> Extraction:
    """Features of a folder as intake copied it, read as intake says; of another one by default.

    Raises
    ------
    oncoframe.errors.BadInput
        If the study cannot be used, or intake refused it.
    """
    order = read_order(folder) if folder.is_dir() else None
    if order is None:
        return extract_folder(folder).extraction()
    found = extract_folder(folder, settings=order.settings, rule=order.rule)
    return _with_order(found.extraction(), order)


def _with_order(found: Extraction, order: Order) -> Extraction:
    suspected: dict[str, FeatureValue] = {"burned_in_suspected": order.burned_in_suspected}
    return replace(
        found,
        features={**found.features, **suspected},
        notes={**found.notes, "deidentification": order.deidentification},
    )


def extract_folder(
    folder: Path, *, settings: str | Settings = SETTINGS, rule: MaskRule | None = None
) -> CtFeatures:
    """Features of a folder: DICOM in any layout, or one ready pair of image and mask.

    Parameters are those of :func:`extract_dicom`.

    Raises
    ------
    oncoframe.errors.BadInput
        If the study cannot be used.
    """
    pair = find_pair(folder) if folder.is_dir() else None
    if pair:
        return extract_volume(*pair, settings=settings, rule=rule)
    return extract_dicom(folder, settings=settings, rule=rule)


def extract_dicom(
    folder: Path, *, settings: str | Settings = SETTINGS, rule: MaskRule | None = None
) -> CtFeatures:
    """Features of the tumour in a folder of DICOM files.

    Parameters
    ----------
    folder
        Files of one patient in any layout.
    settings
        Radiomics settings, or the name of shipped ones.
    rule
        Which segmentation to take.

    Raises
    ------
    oncoframe.errors.BadInput
        If the study cannot be used; :mod:`assets.imaging.errors` lists why.
    oncoframe.errors.SettingsError
        If there are no such settings.
    """
    chosen = _loaded(settings)
    return _described(read_study(folder, rule), chosen, rule or MaskRule(), str(folder))


def extract_volume(
    image: Path,
    mask: Path,
    *,
    settings: str | Settings = SETTINGS,
    label: int | None = None,
    rule: MaskRule | None = None,
) -> CtFeatures:
    """Features of the region of a ready mask.

    Parameters
    ----------
    image, mask
        NIfTI or NRRD files on one grid.
    settings
        Radiomics settings, or the name of shipped ones.
    label
        Value of the mask inside, see :func:`assets.imaging.ready.read_pair`.
    rule
        Recorded with the features; a ready mask is taken as it is.

    Raises
    ------
    oncoframe.errors.BadInput
        If image or mask cannot be used.
    oncoframe.errors.SettingsError
        If there are no such settings.
    """
    chosen = _loaded(settings)
    hu, inside, grid = read_pair(image, mask, label)
    check_hounsfield(hu, str(image))
    account = (SeriesAccount("volume", 2, used=True, reason="image_and_mask"),)
    facts: dict[str, FeatureValue] = {
        "roi": "mask",
        "roi_rule": "ready_mask",
        "mask_reference": "grid",
        "interpolated_slices": 0,
        "modality_source": "hu_range",
    }
    study = CtStudy(Volume(hu, grid), inside, "volume", facts, {}, account)
    return _described(study, chosen, rule or MaskRule(), str(mask))


def _loaded(settings: str | Settings) -> Settings:
    return load_settings(settings) if isinstance(settings, str) else settings


def _described(study: CtStudy, settings: Settings, rule: MaskRule, where: str) -> CtFeatures:
    try:
        found = compute_features(study.volume.image, {where: study.mask}, settings)[where]
    except OncoFrameError as error:
        error.where = where
        raise
    grid = study.volume.grid
    made: dict[str, FeatureValue] = {
        "settings_version": f"{settings.label}/{rule.label}",
        "mask_voxels": int(study.mask.sum()),
        "mask_source": study.source,
        **study.facts,
        "slices": grid.shape[0],
        "slice_spacing_mm": float(grid.spacing_mm[2]),
        "pixel_spacing_mm": float(grid.spacing_mm[0]),
        **study.scan_covariates,
    }
    return CtFeatures(
        settings,
        grid.shape[0],
        int(study.mask.sum()),
        study.series,
        study.volume.repairs or {},
        {feature.name: made.get(feature.name) for feature in COVARIATES},
        found,
        overlay(study.volume.hu, study.mask, grid, _caption(study)),
        {**study.notes, "hu_range": [float(study.volume.hu.min()), float(study.volume.hu.max())]},
    )


def _caption(study: CtStudy) -> tuple[str, ...]:
    return str(study.facts["roi"]), f"by {study.facts['roi_rule']}"
