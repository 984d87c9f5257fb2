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
    "RTReferencedSeriesSequence", "ConversionSourceAttributesSequence",
    "RTROIIdentificationCodeSequence",
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
        "RescaleType": "HU|HU_MOD|US|OD|MGML|Z_EFF|ED|EDW|PCT",
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
        "CodingSchemeDesignator": "SCT|SRT|DCM|SNM3|99SDM|UCUM|FMA|99VMS_STRUCTCODE",
        "CodeValue": r"\d{5,18}|[A-Z]-[0-9A-F]{4,6}|I?GTV[pn]?|CTV[pn]?|PTV[pn]?|ITV",
        "ContentTime": _TIME,
        "StudyTime": _TIME,
        "SeriesTime": _TIME,
        "AcquisitionTime": _TIME,
        "StructureSetTime": _TIME,
        "PatientAge": r"0[0-8]\dY|0\d\d[DWM]",
    }.items()
}

#: Names of structures; of these only words of :mod:`assets.imaging.structure_names` stay.
LABELS = frozenset({"SegmentLabel", "ROIName", "CodeMeaning"})

#: Attributes that a file must have though nothing is left to say (type 2 of the standard).
EMPTY = (
    "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime", "AccessionNumber",
    "ReferringPhysicianName", "SeriesNumber", "PositionReferenceIndicator",
)  # fmt: skip
