"""Entities: what a feature row is about."""

from feast import Entity, ValueType

PATIENT = Entity(
    name="patient",
    join_keys=["patient_id"],
    # Declared, so that Feast does not open a table to infer it.
    value_type=ValueType.STRING,
    description="One patient under a pseudonym.",
)
