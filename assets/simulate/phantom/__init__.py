"""CT phantoms with a planted tumour, as DICOM."""
