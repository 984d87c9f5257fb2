"""VCF: header, records, the tumour among the samples."""
