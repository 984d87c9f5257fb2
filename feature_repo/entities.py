"""Entities: what a feature row is about, and who answers for what is declared here."""

from feast import Entity, ValueType

#: Team that answers for views and services.
OWNER = "data-engineering"
#: Tag of all that is declared here: what lacks it was registered by somebody else.
OURS = {"managed_by": "oncoframe"}

PATIENT = Entity(
    name="patient",
    join_keys=["patient_id"],
    # Declared, so that Feast does not open a table to infer it.
    value_type=ValueType.STRING,
    description="One patient under a pseudonym.",
    owner=OWNER,
    tags=OURS,
)
