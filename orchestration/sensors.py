"""Sensors: what happens without anybody asking.

samplesheet or a file of it changed -> new_files -> job everything, once per state of the zone

What the clock and a drift start is in ``automation.py``, which also makes the sensor of this.
"""

import dagster as dg

from assets.landing import intake
from oncoframe.errors import OncoFrameError
from oncoframe.hashing import content_hash
from oncoframe.lake import Lake
from orchestration.landing_zone import open_zone
from orchestration.settings import Settings

#: The zone is looked at this often; looking reads sizes and times, no file.
INTERVAL_S = 60


def new_files(
    settings: dg.ResourceParam[Settings], lake: dg.ResourceParam[Lake]
) -> dg.RunRequest | dg.SkipReason:
    """Runs the main job when the samplesheet or one of its files changed.

    New patients become partitions, replaced files make their patient stale; the rest is not
    touched. A wrong samplesheet starts nothing: its sentence is the reason of the skip.
    """
    try:
        state = open_zone(settings).state()
    except OncoFrameError as error:
        return dg.SkipReason(str(error))
    if not intake.changed(lake, state):
        return dg.SkipReason("the landing zone did not change")
    # Dagster drops a key it has seen: a file that is put back needs another key than at first.
    taken_in = lake.version(intake.TABLE)
    return dg.RunRequest(run_key=f"landing-{taken_in}-{content_hash(state)}")
