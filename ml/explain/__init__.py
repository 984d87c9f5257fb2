"""Why a model answers as it does, and the shape of a cohort."""
