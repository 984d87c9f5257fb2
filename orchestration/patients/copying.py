"""What runs in a worker process at intake: one CT folder to its de-identified copy.

Task -> write_copy -> Reading without features, or the typed error

Light to import, as :mod:`orchestration.patients.worker` is.
"""

import os

from assets.imaging.copies import Deidentification, write_copy
from oncoframe.errors import OncoFrameError
from orchestration.patients.worker import OUT_OF_MEMORY, Reading, Task


def copy_study(task: Task, how: Deidentification) -> Reading:
    """Copy the folder of the task's one file; says what was wrong with it."""
    [file] = task.files
    target = how.target(file.patient_id, file.collected_on)
    try:
        write_copy(file.patient_id, file.path, target, how)
    except OncoFrameError as error:
        return Reading(error=error)
    except MemoryError:
        # What filled the memory may still do so: the next patient gets a fresh process.
        os._exit(OUT_OF_MEMORY)
    return Reading()
