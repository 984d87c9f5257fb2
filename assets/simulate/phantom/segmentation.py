"""Phantoms as DICOM SEG, written by highdicom: our decoder meets an encoder that is not ours."""

import highdicom as hd
import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes

from assets.simulate.phantom.image import DATE, TIME, Phantom, uid


def segmentation(
    phantom: Phantom, images: list[Dataset], masks: dict[str, np.ndarray] | None = None
) -> Dataset:
    """DICOM SEG of the tumour, frames without it left out.

    Parameters
    ----------
    phantom
        Whose tumour.
    images
        Its CT images.
    masks : mapping of (Z, Y, X) arrays
        Segment label -> voxels, instead of the tumour; of floats from 0 to 1 for a fractional
        segmentation.
    """
    masks = masks or {"Tumour": phantom.mask}
    arrays = np.stack(list(masks.values()), axis=-1)
    fractional = arrays.dtype.kind == "f"
    kinds = hd.seg.SegmentationTypeValues
    found = hd.seg.Segmentation(
        source_images=images,
        pixel_array=arrays if fractional else arrays.astype(np.uint8),
        segmentation_type=kinds.FRACTIONAL if fractional else kinds.BINARY,
        segment_descriptions=[_segment(n, label) for n, label in enumerate(masks, start=1)],
        series_instance_uid=uid(phantom, "series", "SEG"),
        series_number=2,
        sop_instance_uid=uid(phantom, "seg"),
        instance_number=1,
        manufacturer="OncoFrame",
        manufacturer_model_name="Phantom",
        software_versions="1",
        device_serial_number="1",
    )
    for keyword in ("ContentDate", "InstanceCreationDate", "SeriesDate"):
        setattr(found, keyword, DATE)
    for keyword in ("ContentTime", "InstanceCreationTime", "SeriesTime"):
        setattr(found, keyword, TIME)
    for element in found.iterall():
        if element.keyword == "DimensionOrganizationUID":
            element.value = uid(phantom, "dimensions")
        elif element.keyword == "ContributionDateTime":
            element.value = DATE + TIME
    return found


def _segment(number: int, label: str) -> hd.seg.SegmentDescription:
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Neoplasm,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
    )
