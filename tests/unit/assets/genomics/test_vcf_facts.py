"""Facts of a VCF: tools and versions of real headers, never a path, argument or person."""

import pytest

from assets.genomics.vcf.facts import MAX_CALLERS, callers_of, vcf_facts
from assets.genomics.vcf.header import VcfHeader

HEADERS = {
    "Mutect2 4.1.8.1": (
        '##GATKCommandLine=<ID=Mutect2,CommandLine="-I /home/eva/PT1.bam",Version="4.1.8.1">',
        "##source=Mutect2",
    ),
    "strelka 2.9.10": (
        "##source=strelka",
        "##source_version=2.9.10",
        "##cmdline=/opt/strelka/bin/configureStrelkaSomaticWorkflow.py --tumorBam /data/Eva.bam",
    ),
    "Manta 1.6.0": ("##source=GenerateSVCandidates 1.6.0",),
    "freeBayes 1.3.6": ("##source=freeBayes v1.3.6", '##commandline="freebayes -f /x/hg38.fa"'),
    "VarDict 1.8.2": ("##source=VarDict_v1.8.2",),
    "purple 3.2": ("##purpleVersion=3.2",),
    "DeepVariant 1.1.0": ("##DeepVariant_version=1.1.0",),
    "dragen 05.021.408.3.4.12": (
        '##DRAGENVersion=<ID=dragen,Version="SW: 05.021.408.3.4.12, HW: 05.021.408">',
    ),
    "SnpEff 5.0e": ('##SnpEffVersion="5.0e (build 2021-03-09), by Pablo Cingolani"',),
}


@pytest.mark.parametrize(("told", "meta"), HEADERS.items())
def test_callers_of__names_tool_and_version(told, meta):
    assert callers_of(meta) == (told,)


@pytest.mark.parametrize(
    "line",
    [
        "##source=/home/mueller/call.sh",
        "##source=C:\\Users\\mueller\\call.bat",
        "##source=mueller@example.org",
        "##cmdline=/home/mueller/run --sample Eva",
        "##fileformat=VCFv4.2",
        "##fileDate=20240101",
        "##reference=/data/mueller/hg38.fa",
        "##source=",
        "##source=20240101",
    ],
)
def test_callers_of__takes_nothing_else(line):
    """A path in a header holds who ran the tool, and often whose sample it was."""
    assert callers_of([line]) == ()


def test_callers_of__is_bounded():
    lines = [f"##tool{chr(97 + i)}Version={i}.0" for i in range(26)] + ["##source=" + "x" * 10_000]
    found = callers_of(lines)
    assert len(found) == MAX_CALLERS
    assert max(map(len, found)) < 60


@pytest.mark.parametrize(
    ("meta", "declared", "build", "source"),
    [
        (("##contig=<ID=1,length=248956422>",), None, "GRCh38", "contigs"),
        (("##contig=<ID=NC_000017.11>",), None, "GRCh38", "contigs"),
        (("##reference=file:///x/hg19.fa",), None, "GRCh37", "header"),
        ((), "hg19", "GRCh37", "declared"),
        ((), None, None, None),
        ((), None, "GRCh38", "contigs"),
    ],
)
def test_vcf_facts__tell_how_the_build_is_known(meta, declared, build, source):
    """The last: accessions of the records told it, no header line."""
    found = vcf_facts(VcfHeader(meta, ("T",)), declared, build)
    assert (found.build, found.build_source) == (build, source)
