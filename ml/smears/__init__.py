"""Networks on fields of smears: a patient is a bag of fields, and only the patient has a label."""
