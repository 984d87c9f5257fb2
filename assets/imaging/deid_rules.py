"""What may stay in a de-identified DICOM object: everything else goes.

An allow-list, not a list of what to remove: the tables of DICOM PS3.15 name the attributes that are
meant for identifying data, but people type names into every field that takes text, and vendors
invent private ones. A kept text must also look as its attribute should.

References
----------
DICOM PS3.15 Annex E: basic application level confidentiality profile, with the option to retain
longitudinal temporal information with modified dates.
"""

import re

#: Shorter secrets can be guessed.
SHORTEST_KEY_BYTES = 16

#: Numbers and structure of images, segmentations and contours; kept as they are.
NUMBERS = frozenset({
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "SamplesPerPixel", "NumberOfFrames", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices",
    "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept",
    "SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue", "WindowCenter",
    "WindowWidth", "SliceLocation", "InstanceNumber", "SeriesNumber", "AcquisitionNumber", "KVP",
    "XRayTubeCurrent", "Exposure", "ExposureTime", "GantryDetectorTilt", "TableHeight",
    "DataCollectionDiameter", "ReconstructionDiameter", "ROINumber", "ReferencedROINumber",
    "ObservationNumber", "NumberOfContourPoints", "ContourData", "ContourNumber",
    "ROIDisplayColor", "SegmentNumber", "ReferencedSegmentNumber", "ReferencedFrameNumber",
    "MaximumFractionalValue", "DimensionIndexValues", "DimensionIndexPointer",
    "FunctionalGroupPointer", "InStackPositionNumber", "LossyImageCompressionRatio",
})  # fmt: skip

#: Sequences that are kept, item by item under the same rules.
SEQUENCES = frozenset({
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "PlanePositionSequence",
    "PlaneOrientationSequence", "PixelMeasuresSequence", "FrameContentSequence",
    "SegmentIdentificationSequence", "DerivationImageSequence", "SourceImageSequence",
    "PixelValueTransformationSequence", "CTImageFrameTypeSequence",
    "SegmentSequence", "SegmentedPropertyCategoryCodeSequence",
    "SegmentedPropertyTypeCodeSequence", "DimensionIndexSequence", "DimensionOrganizationSequence",
    "ReferencedSeriesSequence", "ReferencedInstanceSequence", "StructureSetROISequence",
    "ROIContourSequence", "ContourSequence", "ContourImageSequence", "RTROIObservationsSequence",
    "ReferencedFrameOfReferenceSequence", "RTReferencedStudySequence",
    "RTReferencedSeriesSequence",
})  # fmt: skip

#: UIDs of this study; replaced by others, the same for the same.
INSTANCE_UIDS = frozenset({
    "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID",
    "ReferencedSOPInstanceUID", "ReferencedFrameOfReferenceUID", "DimensionOrganizationUID",
    "ConcatenationUID",
})  # fmt: skip

#: UIDs of the standard; kept if the standard knows them.
CLASS_UIDS = frozenset({"SOPClassUID", "ReferencedSOPClassUID"})

#: Dates of the examination; shifted.
DATES = frozenset({
    "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "StructureSetDate",
})  # fmt: skip

_TIME = r"\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?"
_IMAGE_TYPE = (
    "ORIGINAL|DERIVED|PRIMARY|SECONDARY|AXIAL|LOCALIZER|MPR|VOLUME|NONE|RESAMPLED|REFORMATTED"
    r"|AVERAGE|MIN_IP|MAX_IP|CT_SOM\d? ?\w{0,4}|CSA|HELIX|HELICAL|STANDARD|MIXED|OTHER"
)

#: Attribute -> what each of its values may be; anything else is removed.
TEXTS = {
    keyword: re.compile(pattern)
    for keyword, pattern in {
        "Modality": "CT|PT|MR|SEG|RTSTRUCT",
        "ImageType": _IMAGE_TYPE,
        "FrameType": _IMAGE_TYPE,
        "PatientSex": "[FMO]",
        "PatientPosition": "HFS|HFP|HFDR|HFDL|FFS|FFP|FFDR|FFDL",
        "PhotometricInterpretation": "MONOCHROME[12]",
        "RescaleType": "HU|US",
        "Units": "HU|BQML|CNTS|SUVBW",
        "LossyImageCompression": "0[01]",
        "BurnedInAnnotation": "YES|NO",
        "ScanOptions": "HELICAL MODE|AXIAL MODE|HELIX|HELICAL|AXIAL|NONE",
        "SegmentationType": "BINARY|FRACTIONAL|LABELMAP",
        "SegmentationFractionalType": "PROBABILITY|OCCUPANCY",
        "SegmentsOverlap": "YES|NO|UNDEFINED",
        "SegmentAlgorithmType": "AUTOMATIC|SEMIAUTOMATIC|MANUAL",
        "DimensionOrganizationType": "3D|3D_TEMPORAL|TILED_FULL|TILED_SPARSE",
        "ROIGenerationAlgorithm": "AUTOMATIC|SEMIAUTOMATIC|MANUAL",
        "ContourGeometricType": "POINT|OPEN_PLANAR|CLOSED_PLANAR|CLOSEDPLANAR_XOR",
        "RTROIInterpretedType": "GTV|CTV|PTV|ORGAN|EXTERNAL|AVOIDANCE|CONTROL|NONE",
        "CodingSchemeDesignator": "SCT|SRT|DCM|SNM3|99SDM|UCUM",
        "CodeValue": r"\d{5,18}|[A-Z]-[0-9A-F]{4,6}",
        "ContentTime": _TIME,
        "StudyTime": _TIME,
        "SeriesTime": _TIME,
        "AcquisitionTime": _TIME,
        "StructureSetTime": _TIME,
        "PatientAge": r"0[0-8]\dY|0\d\d[DWM]",
    }.items()
}

#: Names of structures; only words of these stay, as the rules for masks go by them.
LABELS = frozenset({"SegmentLabel", "ROIName", "CodeMeaning"})
_STRUCTURE = re.compile(
    r"gtv[-_ ]?n(?![a-z])|gtv|ctv|ptv|itv|tumou?r|mass|lesion|nodule|neoplasm|neoplas|cancer"
    r"|carcinoma|carcinom|sarcoma|sarcom|malignan|primary|metastas[ei]s|metast|node|lymph|oedema"
    r"|edema|ring|margin|necro|(?<![a-z])ln(?![a-z])|lung|heart|liver|spine|cord|bone|body"
    r"|external|left|right|upper|middle|lower|lobe|organ|tissue|(?<!\d)\d{1,3}(?!\d)",
    re.IGNORECASE,
)


def structure_label(text: str) -> str:
    """Name of a structure without what is no word for one: ``GTV Doe 2`` becomes ``GTV 2``."""
    return " ".join(match[0] for match in _STRUCTURE.finditer(text)) or "structure"


#: Attributes that a file must have though nothing is left to say (type 2 of the standard).
EMPTY = (
    "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime", "AccessionNumber",
    "ReferringPhysicianName", "SeriesNumber", "PositionReferenceIndicator",
)  # fmt: skip
