"""Partitions: the patients, added as their files land.

One definition for all modalities, so that a backfill of some patients covers each of them.
"""

import dagster as dg

PATIENTS = dg.DynamicPartitionsDefinition(name="patients")
