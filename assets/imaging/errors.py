"""Errors of CT imaging: the branch of :mod:`oncoframe.errors` that says what ails a study.

    BadInput
    ├── DamagedFile             a DICOM file whose attributes cannot be parsed
    ├── NotCT                   no CT in the folder: PET, MR, or a class that contradicts its name
    ├── NotHounsfield           values that are no CT numbers, or do not say how to become some
    ├── TwoPatients             files of more than one patient in one folder
    ├── MissingSlice            a gap of whole slices
    ├── DuplicateSlice          two different images at one position
    ├── UnevenSpacing           slices that are not equally far apart
    ├── MixedOrientation        slices that are not parallel
    ├── MixedSlices             slices of different size or pixel spacing in one series
    ├── MixedReconstructions    slices of several reconstructions in one series
    ├── GantryTilt              slices sheared against their normal
    ├── NoSlicePosition         an image without position or orientation
    ├── NoMask                  no segmentation, or none under the name that the study asks for
    ├── UnclearTumour           several structures, and none that can be told to be the tumour
    ├── EmptyMask               a segmentation without a voxel
    ├── SparseContours          contours on some of the slices of the structure only
    ├── AbsentImages            the segmentation was drawn on images that are not there
    ├── OtherFrameOfReference   the segmentation was drawn in another coordinate system
    ├── MaskOffGrid             segmented pixels that do not lie on the voxels of the CT
    ├── MaskOutsideCT           segmented voxels beyond the CT
    └── MaskTooSmall            too few voxels or dimensions for radiomics

All are permanent: the same study fails the same way until somebody replaces it.
"""

from oncoframe.errors import BadInput


class DamagedFile(BadInput):
    """A DICOM file whose attributes cannot be parsed."""


class NotCT(BadInput):
    """A study without a CT series."""


class NotHounsfield(BadInput):
    """An image whose values are no Hounsfield units."""


class TwoPatients(BadInput):
    """A folder with the files of more than one patient."""


class MissingSlice(BadInput):
    """A CT series with a gap."""


class DuplicateSlice(BadInput):
    """A CT series with two different images at one position."""


class UnevenSpacing(BadInput):
    """A CT series whose slices are not equally far apart."""


class MixedOrientation(BadInput):
    """A CT series whose slices are not parallel."""


class MixedSlices(BadInput):
    """A CT series whose slices differ in size or pixel spacing."""


class MixedReconstructions(BadInput):
    """A CT series whose slices come from several reconstructions."""


class GantryTilt(BadInput):
    """A CT series acquired with a tilted gantry."""


class NoSlicePosition(BadInput):
    """A CT image that does not say where it lies."""


class NoMask(BadInput):
    """A study without the segmentation that is asked for."""


class UnclearTumour(BadInput):
    """A segmentation of several structures, none of which says that it is the tumour."""


class EmptyMask(BadInput):
    """A segmentation without a voxel."""


class SparseContours(BadInput):
    """A structure with contours on some of its slices only."""


class AbsentImages(BadInput):
    """A segmentation of images that are not in the folder."""


class OtherFrameOfReference(BadInput):
    """A segmentation in another coordinate system than the CT."""


class MaskOffGrid(BadInput):
    """A segmentation whose pixels do not lie on the voxels of the CT."""


class MaskOutsideCT(BadInput):
    """A segmentation that reaches beyond the CT."""


class MaskTooSmall(BadInput):
    """A segmentation too small to describe."""
