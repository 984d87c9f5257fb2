"""Layouts of the gene annotation in a VCF: which tool wrote it, and where its fields are.

    header -> find_annotation -> Annotation

Understood, first that the header declares: Ensembl VEP (``CSQ``, or whatever key it was told to
write), SnpEff ``ANN``, BCFtools ``BCSQ``, Funcotator ``FUNCOTATION``, ANNOVAR, and plain INFO keys
for gene, consequence and protein change.
"""

import re

from assets.genomics.annotation.alleles import Annotation, Tool
from assets.genomics.vcf.records import VcfHeader

#: Subfields of ANN, fixed by its specification.
_ANN_FIELDS = (
    "Allele", "Consequence", "IMPACT", "SYMBOL", "Gene", "Feature_type", "Feature", "BIOTYPE",
    "EXON", "HGVSc", "HGVSp",
)  # fmt: skip
#: Subfields of BCSQ, fixed by its manual, by the names of VEP.
_BCSQ_FIELDS = (
    "Consequence", "SYMBOL", "Feature", "BIOTYPE", "STRAND", "HGVSp", "dna_change",
)  # fmt: skip
#: End of the name of a Funcotation field (before it: source and version) -> the name of VEP.
_FUNCOTATIONS = {
    "hugosymbol": "SYMBOL",
    "variantclassification": "Consequence",
    "proteinchange": "HGVSp",
}
#: Gene models that ANNOVAR is run with, in order of preference.
_ANNOVAR_MODELS = ("refGeneWithVer", "refGene", "ensGene", "knownGene")
#: INFO keys of a file that is annotated without transcripts, in order of preference.
_GENE_KEYS = ("GENE", "SYMBOL", "Gene", "GENE_SYMBOL", "Hugo_Symbol")
_CONSEQUENCE_KEYS = ("CONSEQUENCE", "Consequence", "EFFECT", "Variant_Classification")
_PROTEIN_KEYS = ("HGVSP", "HGVSp", "HGVSp_Short", "HGVSP_SHORT", "AACHANGE")
#: Longest meta line of an annotation that is taken apart; VEP with all plugins stays below 20 kB.
_MAX_LINE = 1 << 20


def find_annotation(header: VcfHeader) -> Annotation | None:
    """Layout of the annotation that a header declares, or None."""
    layouts = (_vep(header), _snpeff(header), _bcsq(header), _funcotator(header), _annovar(header))
    return next((layout for layout in layouts if layout), None) or _plain(header)


def _vep(header: VcfHeader) -> Annotation | None:
    """VEP, recognised by its subfields under any key, ``CSQ`` before others."""
    lines = [line for line in header.meta if line.startswith("##INFO=<ID=") and "Format:" in line]
    for line in sorted(lines, key=lambda line: not line.startswith("##INFO=<ID=CSQ,")):
        key = line.removeprefix("##INFO=<ID=").partition(",")[0]
        names = line[:_MAX_LINE].partition("Format:")[2].partition('"')[0].strip().split("|")
        fields = {name.strip(): position for position, name in enumerate(names)}
        if "Consequence" in fields and ("SYMBOL" in fields or "Gene" in fields):
            return Annotation(Tool.VEP, key, fields)
    return None


def _snpeff(header: VcfHeader) -> Annotation | None:
    if not header.declares("INFO", "ANN"):
        return None
    return Annotation(Tool.SNPEFF, "ANN", {name: i for i, name in enumerate(_ANN_FIELDS)})


def _bcsq(header: VcfHeader) -> Annotation | None:
    if not header.declares("INFO", "BCSQ"):
        return None
    return Annotation(Tool.BCFTOOLS, "BCSQ", {name: i for i, name in enumerate(_BCSQ_FIELDS)})


def _funcotator(header: VcfHeader) -> Annotation | None:
    line = header.declares("INFO", "FUNCOTATION")
    names = re.search(r"fields are:\s*([^\"]+)", line[:_MAX_LINE]) if line else None
    if names is None:
        return None
    fields: dict[str, int] = {}
    for position, name in enumerate(names[1].strip().split("|")):
        ending = name.strip().lower().rpartition("_")[2]
        if name.strip().startswith("Gencode_") and ending in _FUNCOTATIONS:
            fields.setdefault(_FUNCOTATIONS[ending], position)
    has_both = {"SYMBOL", "Consequence"} <= fields.keys()
    return Annotation(Tool.FUNCOTATOR, "FUNCOTATION", fields) if has_both else None


def _annovar(header: VcfHeader) -> Annotation | None:
    for model in _ANNOVAR_MODELS:
        keys = {
            "gene": f"Gene.{model}",
            "consequence": f"ExonicFunc.{model}",
            "region": f"Func.{model}",
            "protein": f"AAChange.{model}",
        }
        if all(header.declares("INFO", keys[name]) for name in ("gene", "consequence")):
            return Annotation(Tool.ANNOVAR, None, keys)
    return None


def _plain(header: VcfHeader) -> Annotation | None:
    keys = {
        column: next((k for k in names if header.declares("INFO", k)), None)
        for column, names in (
            ("gene", _GENE_KEYS),
            ("consequence", _CONSEQUENCE_KEYS),
            ("protein", _PROTEIN_KEYS),
        )
    }
    if keys["gene"] and keys["consequence"]:
        return Annotation(Tool.PLAIN, None, {column: key for column, key in keys.items() if key})
    return None
