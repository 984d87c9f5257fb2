"""Readers on files mutated field by field: an account that adds up or an error of ours, only.

A mutation keeps the shape of a good file and puts a nasty value, a doubled or missing field or
line, or a flipped byte into it, so that it gets past the header and into the arithmetic.
"""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.expression import quantification
from assets.genomics.fusion import reader as fusion
from assets.genomics.snv import reader as snv
from oncoframe.contracts import Contract
from oncoframe.errors import OncoFrameError
from oncoframe.extraction import Extraction

pytestmark = pytest.mark.slow

#: Values that break arithmetic, parsers and memory, in any column.
NASTY = [
    "", ".", "-", "NA", "nan", "NaN", "inf", "-inf", "-1", "0", "1e400", "1e-400", "-0.0",
    "9" * 400, "9" * 5000, "0x10", "1_000", "+7", " 7 ", "1,2,3", "1,,3",
    ",", ",,,,", ":", "::::", "./.",
    "0|1", "0/99", "99999999999999999999", "2147483648", "%", "120%",
    "\x1f", "é", "\U0001d50a", "\u2028",
    "\ufeff", "*", "<DEL>", "<*>", "N", "n", "]1:2]A", ".A", "A.", "T,T", "C", "CSQ=", "CSQ=|||",
    "CSQ=T|&|&|&", "=", ";", ";;;", '"', '""', "'", "\\", "[", "(", "(?:", "A" * 300, "A(9),B(8)",
    "A(99999999999999999999)", "__no_feature", "ENSG00000141510.17", "#", "##", "T|", "&&&",
]  # fmt: skip

_CSQ = (
    '##INFO=<ID=CSQ,Number=.,Type=String,Description="x. Format: Allele|Consequence|SYMBOL|HGVSp">'
)
_BCSQ = '##INFO=<ID=BCSQ,Number=.,Type=String,Description="x">'
_FUNCOTATION = (
    '##INFO=<ID=FUNCOTATION,Number=A,Type=String,Description="Funcotation fields are: '
    'Gencode_1_hugoSymbol|Gencode_1_variantClassification|Gencode_1_proteinChange">'
)
_ANNOVAR = "\n".join(
    f'##INFO=<ID={key}.refGene,Number=.,Type=String,Description="x">'
    for key in ("Func", "Gene", "ExonicFunc", "AAChange")
)
_COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tNORMAL\tTUMOR"


def _vcf(meta: str, info: str, *calls: str) -> str:
    rows = [f"chr9\t{i + 5}\t.\tC\tT,G\t.\tPASS\t{info}\t{call}" for i, call in enumerate(calls)]
    contig = "##contig=<ID=chr9,length=138394717>"
    return "\n".join(["##fileformat=VCFv4.2", meta, contig, _COLUMNS, *rows]) + "\n"


_MUTECT = "GT:AD:AF:DP\t0/0:50,0,0:0,0:50\t0/1/2:60,30,10:0.3,0.1:100"
_STRELKA = "DP:AU:CU:GU:TU\t50:0,0:50,50:0,0:0,0\t50:0,0:30,31:5,5:15,15"
_VARSCAN = "GT:GQ:DP:RD:AD:FREQ:DP4\t0/0:.:9:9:0:0%:4,5,0,0\t0/1:.:100:60:40:40%:30,30,20,20"
_FREEBAYES = "GT:RO:AO:DP\t0/0:9:0,0:9\t0/1:60:30,10:100"
_STAR = "#FusionName\tJunctionReadCount\tSpanningFragCount\tLeftGene\tRightGene\tPROT_FUSION_TYPE\n"
_ARRIBA = "#gene1\tgene2\tbreakpoint1\tbreakpoint2\ttype\tsplit_reads1\tsplit_reads2\tdiscordant_mates\tconfidence\treading_frame\n"  # noqa: E501
_JAFFA = '"sample","fusion genes","spanning pairs","spanning reads","inframe","classification"\n'

#: Reader -> good files of its dialects.
FILES: dict[str, list[str]] = {
    "snv": [
        _vcf(_CSQ, "CSQ=T|missense_variant|JAK2|p.V617F,G|stop_gained|TP53|", _MUTECT, _VARSCAN),
        _vcf(_BCSQ, "DP=3;BCSQ=missense|JAK2|E|c|+|617V>617F|5C>T", _STRELKA, _FREEBAYES),
        _vcf(_FUNCOTATION, "FUNCOTATION=[JAK2|MISSENSE|p.V617F],[TP53|IGR|]", _MUTECT),
        _vcf(_ANNOVAR, "Gene.refGene=A;ExonicFunc.refGene=stopgain;ALLELE_END;B=1", _MUTECT),
        _vcf("##x=y", "SOMATIC;SS=2", _MUTECT, _STRELKA, _VARSCAN),
    ],
    "fusion": [
        _STAR + "BCR--ABL1\t27\t20\tBCR^ENSG1.5\tABL1^ENSG2\tINFRAME\nA--B\t9\t9\tA\tB\t.\n",
        _ARRIBA + "KMT2A\tMLLT3(8),X(9)\t1:1\t2:2\ttranslocation\t20\t7\t20\thigh\tin-frame\n" * 2,
        _JAFFA + '"S1","BCR:ABL1",20,27,TRUE,"HighConfidence"\n' * 2,
        "sample_1\tBCR\tchr22\t12\tABL1\tchr9\t34\t8\t1\t8\t272.41\n" * 2,
    ],
    "expression": [
        "gene_id\tcount\nENSG00000141510.17\t7\nFLT3\t0\n",
        "N_unmapped\t5\t5\t5\nENSG00000141510.17\t7\t1\t6\nENSG00000122025.9\t0\t0\t0\n",
        'gene,log2(TPM+1)\n"TP53",-1.5\n"KIT",2\n',
        "Name\tLength\tEffectiveLength\tTPM\tNumReads\nTP53\t9\t8.1\t1e6\t7.000\nKIT\t9\t8\t0.0\t0\n",
    ],
}  # fmt: skip
READERS: dict[str, tuple[Contract, Callable[..., Extraction]]] = {
    "snv": (snv.CONTRACT, snv.extract),
    "fusion": (fusion.CONTRACT, fusion.extract),
    "expression": (quantification.CONTRACT, quantification.extract),
}


@st.composite
def mutated(draw: st.DrawFn, reader: str) -> bytes:
    """A good file of a reader with up to five mutations."""
    text = draw(st.sampled_from(FILES[reader]))
    mark = "\t" if "\t" in text else ","
    lines = [line.split(mark) for line in text.split("\n")]
    for _ in range(draw(st.integers(1, 5))):
        number = draw(st.integers(0, len(lines) - 1))
        line = lines[number]
        field = draw(st.integers(0, len(line) - 1))
        way = draw(st.sampled_from(["value", "value", "value", "part", "drop", "double", "line"]))
        match way:
            case "value":
                line[field] = draw(st.sampled_from(NASTY))
            case "part":  # one of the values within a field
                parts = line[field].split(separator := draw(st.sampled_from(list(":,;|=&/"))))
                parts[draw(st.integers(0, len(parts) - 1))] = draw(st.sampled_from(NASTY))
                line[field] = separator.join(parts)
            case "drop":
                line[field : field + 1] = [] if len(line) > 1 else [""]
            case "double":
                line.insert(field, line[field])
            case "line":
                lines.insert(number, list(line))
    content = "\n".join(mark.join(line) for line in lines).encode()
    for _ in range(draw(st.integers(0, 2))):
        position = draw(st.integers(0, max(len(content) - 1, 0)))
        content = content[:position] + draw(st.binary(max_size=2)) + content[position + 1 :]
    return gzip.compress(content) if draw(st.booleans()) else content


@pytest.mark.parametrize("reader", READERS)
def test_extract__accounts_for_every_mutated_file_or_refuses_it(reader, tmp_path):
    """Another exception would be taken for a defect of ours; a wrong account for a good file."""
    contract, extract = READERS[reader]
    path: Path = tmp_path / "file"

    @settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
    @given(content=mutated(reader), build=st.sampled_from([None, "GRCh37", "hg38", "mm10"]))
    def check(content: bytes, build: str | None) -> None:
        path.write_bytes(content)
        try:
            found = extract(path, reference_build=build)
        except OncoFrameError:
            return
        assert min(found.records, found.used, *found.filtered.values(), 0) == 0
        assert list(found.features) == [feature.name for feature in contract.features]
        numbers = [value for value in found.features.values() if isinstance(value, float)]
        assert np.isfinite(numbers).all()
        for block in contract.blocks:
            values = found.blocks[block.name]
            assert values is None or not np.isinf(values.values).any()

    check()
