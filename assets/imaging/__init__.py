"""CT imaging: DICOM folders to volumes, masks and radiomic features."""
