"""Steps that belong together: first parts of the keys of the assets of a study, in order.

training_frame -> trained_model -> report -> candidate; scoring_frame -> scores -> drift_report
"""

#: What training makes.
TRAINED = ("training_frame", "trained_model", "report")
#: What training again makes beyond it: a candidate, and whom its frame is held against.
PROPOSED = ("scoring_frame", "candidate")
#: What scoring makes.
SCORED = ("scoring_frame", "scores", "drift_report")
#: Check of the asset promotion/<study>: the champion is who the gate made it.
ALIAS_CHECK = "alias_moved_only_by_gate"
#: Checks of what scoring makes, by the first part of their asset's key.
SCORING_CHECKS = {
    "promotion": ALIAS_CHECK,
    "scores": "every_patient_has_a_score",
    "drift_report": "no_drift",
}
