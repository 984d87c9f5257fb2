"""Phantoms as DICOM: a CT series, and its tumour as RTSTRUCT or, by ``segmentation.py``, DICOM SEG.

    Phantom -> CT slices -> RTSTRUCT, contours half-way between the pixels -> folder

UIDs, dates and times are derived from the seed, so that the same seed gives the same bytes.
"""

from dataclasses import dataclass
from pathlib import Path

import contourpy
import numpy as np
from pydicom import Dataset, FileDataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage

from assets.imaging.dicom_files import save
from assets.simulate.phantom.image import DATE, TIME, Phantom, uid

#: Stored value of 0 HU: pixels are unsigned, as most scanners write them.
STORED_ZERO = 1024


@dataclass(frozen=True)
class Identity:
    """Whose files they are and what made them; pseudonyms and constants by default."""

    patient_id: str = "PHANTOM"
    patient_name: str = "Phantom^OncoFrame"
    birth_date: str = ""
    institution: str = ""
    manufacturer: str = "SIEMENS"
    model: str = "Sensation 64"
    kernel: str = "B30f"


def ct_slices(phantom: Phantom, identity: Identity | None = None) -> list[Dataset]:
    """CT images of a phantom, one per z."""
    identity = identity or Identity()
    return [_ct_slice(phantom, identity, z) for z in range(phantom.grid.shape[0])]


def _ct_slice(phantom: Phantom, identity: Identity, z: int) -> Dataset:
    grid = phantom.grid
    image = _object(phantom, identity, CTImageStorage, "CT", f"image/{z}")
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.SeriesNumber, image.InstanceNumber, image.AcquisitionNumber = 1, z + 1, 1
    image.KVP, image.ConvolutionKernel = 120, identity.kernel
    image.SliceThickness = _text(grid.spacing_mm[2])
    image.ImagePositionPatient = [_text(v) for v in grid.points(np.array([[0, 0, z]]))[0]]
    image.ImageOrientationPatient = [_text(v) for v in grid.direction[:, :2].T.ravel()]
    image.PixelSpacing = [_text(grid.spacing_mm[1]), _text(grid.spacing_mm[0])]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = grid.shape[1:]
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 0
    image.RescaleSlope, image.RescaleIntercept, image.RescaleType = 1, -STORED_ZERO, "HU"
    image.PixelData = (phantom.hu[z] + STORED_ZERO).astype("<u2").tobytes()
    return image


def _object(
    phantom: Phantom, identity: Identity, sop_class: UID, modality: str, name: str
) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = uid(phantom, name)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    data.Modality, data.Manufacturer = modality, identity.manufacturer
    data.ManufacturerModelName = identity.model
    data.PatientName, data.PatientID = identity.patient_name, identity.patient_id
    data.PatientBirthDate, data.PatientSex = identity.birth_date, "O"
    data.InstitutionName = identity.institution
    data.StudyDate = data.SeriesDate = data.ContentDate = DATE
    data.StudyTime = data.SeriesTime = data.ContentTime = TIME
    data.StudyID, data.AccessionNumber, data.ReferringPhysicianName = "1", "", ""
    data.StudyInstanceUID = uid(phantom, "study")
    data.SeriesInstanceUID = uid(phantom, "series", modality)
    data.FrameOfReferenceUID, data.PositionReferenceIndicator = uid(phantom, "frame"), ""
    return data


def _text(value: float) -> str:
    """Decimal string of at most 16 characters."""
    return f"{value:.10f}"[:16]


def structure_set(
    phantom: Phantom,
    images: list[Dataset],
    masks: dict[str, np.ndarray] | None = None,
    identity: Identity | None = None,
) -> Dataset:
    """RTSTRUCT of the tumour, one closed contour per outline and per hole.

    Parameters
    ----------
    phantom
        Whose tumour.
    images
        Its CT images.
    masks : mapping of (Z, Y, X) arrays of bool
        ROI name -> voxels, instead of the tumour as ``GTV-1``.
    identity
        What to write about the patient.
    """
    masks = masks or {"GTV-1": phantom.mask}
    data = _object(phantom, identity or Identity(), RTStructureSetStorage, "RTSTRUCT", "rtstruct")
    data.SeriesNumber, data.InstanceNumber, data.StructureSetLabel = 3, 1, "PHANTOM"
    data.StructureSetDate, data.StructureSetTime = DATE, TIME
    data.ReferencedFrameOfReferenceSequence = Sequence([_referenced_frame(images)])
    rois, contours, observations = [], [], []
    for number, (name, mask) in enumerate(masks.items(), start=1):
        rois.append(
            _item(
                ROINumber=number,
                ROIName=name,
                ROIGenerationAlgorithm="MANUAL",
                ReferencedFrameOfReferenceUID=images[0].FrameOfReferenceUID,
            )
        )
        outlines = Sequence(_contours(phantom, images, mask))
        contours.append(_item(ReferencedROINumber=number, ContourSequence=outlines))
        observations.append(
            _item(
                ObservationNumber=number,
                ReferencedROINumber=number,
                RTROIInterpretedType="GTV",
                ROIInterpreter="",
            )
        )
    data.StructureSetROISequence = Sequence(rois)
    data.ROIContourSequence = Sequence(contours)
    data.RTROIObservationsSequence = Sequence(observations)
    return data


def _referenced_frame(images: list[Dataset]) -> Dataset:
    first = images[0]
    instances = Sequence(_reference(image) for image in images)
    series = _item(SeriesInstanceUID=first.SeriesInstanceUID, ContourImageSequence=instances)
    study = _item(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",
        ReferencedSOPInstanceUID=first.StudyInstanceUID,
        RTReferencedSeriesSequence=Sequence([series]),
    )
    return _item(
        FrameOfReferenceUID=first.FrameOfReferenceUID,
        RTReferencedStudySequence=Sequence([study]),
    )


def _reference(image: Dataset) -> Dataset:
    return _item(
        ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID
    )


def _contours(phantom: Phantom, images: list[Dataset], mask: np.ndarray) -> list[Dataset]:
    """Outlines half-way between pixels inside and outside, so that rasterising gives the mask."""
    found = []
    for z in np.flatnonzero(mask.any(axis=(1, 2))):
        plane = np.pad(mask[z].astype(float), 1)
        for line in contourpy.contour_generator(z=plane).lines(0.5):
            corners = np.asarray(line, dtype=np.float64)[:-1] - 1
            indices = np.column_stack([corners, np.full(len(corners), z)])
            points = phantom.grid.points(indices)
            found.append(
                _item(
                    ContourImageSequence=Sequence([_reference(images[z])]),
                    ContourGeometricType="CLOSED_PLANAR",
                    NumberOfContourPoints=len(points),
                    ContourData=[_text(v) for v in points.ravel()],
                )
            )
    return found


def _item(**attributes: object) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def write_study(
    phantom: Phantom, folder: Path, *, kind: str = "seg", identity: Identity | None = None
) -> None:
    """Write CT and segmentation of a phantom as a folder of DICOM files.

    Parameters
    ----------
    phantom
        What to write.
    folder
        New folder: ``ct/`` and ``seg/`` or ``rtstruct/`` below it.
    kind
        ``seg``, ``rtstruct`` or ``both``.
    identity
        What to write about the patient and the scanner.
    """
    images = ct_slices(phantom, identity)
    for number, image in enumerate(images, start=1):
        save(image, folder / "ct" / f"1-{number:03d}.dcm")
    if kind in ("seg", "both"):
        from assets.simulate.phantom.segmentation import segmentation  # noqa: PLC0415  (highdicom takes 2 s)

        save(segmentation(phantom, images), folder / "seg" / "1-1.dcm")
    if kind in ("rtstruct", "both"):
        save(structure_set(phantom, images, identity=identity), folder / "rtstruct" / "1-1.dcm")
