"""Whose sample is read: never the first or last of several, never a normal one."""

from pathlib import Path

import pytest

from oncoframe.errors import AmbiguousSample, MissingSample
from oncoframe.samples import MAX_LISTED, likely_tumours, one_sample

FILE = Path("cohort.vcf")


@pytest.mark.parametrize(
    ("names", "sample"),
    [
        (["PT"], "PT"),
        (["PT_normal", "PT_tumor"], "PT_tumor"),
        (["PT_N", "PT"], "PT"),
        (["DNA_NORMAL", "DNA_TUMOR", "RNA_TUMOR"], "DNA_TUMOR"),
        (["TCGA-AB-2802-11A", "TCGA-AB-2802-03A"], "TCGA-AB-2802-03A"),
        (["TUMOR.mutect2", "NORMAL.mutect2", "TUMOR.strelka"], "TUMOR.strelka"),
        (["abnormal"], "abnormal"),
        (["normalized"], "normalized"),
    ],
)
def test_one_sample__is_the_only_one_that_may_be_the_tumour(names, sample):
    assert one_sample(names, None, FILE) == sample


@pytest.mark.parametrize("names", [["S1", "S2"], ["A_tumor", "B_tumor"], ["x", "y", "z_normal"]])
def test_one_sample__refuses_to_choose_and_lists_the_samples(names):
    """The last column of a cohort is another patient's tumour."""
    with pytest.raises(AmbiguousSample) as caught:
        one_sample(names, None, FILE)
    assert all(name in str(caught.value) for name in likely_tumours(names))
    assert one_sample(names, names[0], FILE) == names[0]


@pytest.mark.parametrize("names", [["PT_normal"], ["germline", "PT-N"]])
def test_one_sample__refuses_normal_samples_unless_named(names):
    """A normal sample read as the tumour is a patient without a finding."""
    with pytest.raises(MissingSample, match="only normal"):
        one_sample(names, None, FILE)
    assert one_sample(names, names[0], FILE) == names[0]


def test_one_sample__refuses_a_name_that_is_not_there():
    with pytest.raises(MissingSample, match="S1, S2"):
        one_sample(["S1", "S2"], "S3", FILE)
    assert one_sample(["TUMOR.mutect2", "TUMOR.strelka"], "TUMOR", FILE) == "TUMOR.strelka"


def test_one_sample__lists_no_more_than_a_person_reads():
    with pytest.raises(AmbiguousSample, match=f"S{MAX_LISTED - 1} and 80 more"):
        one_sample([f"S{i}" for i in range(MAX_LISTED + 80)], None, FILE)
