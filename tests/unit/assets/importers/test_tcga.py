"""Importer of MAF cohorts, on invented downloads in the layouts of GDC and cBioPortal."""

import gzip
from pathlib import Path

import cyvcf2
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.genomics.annotation.consequences import SEVERITY
from assets.genomics.cnv.reader import extract as copy_numbers
from assets.genomics.snv.reader import extract
from assets.importers.layout import LabelSource
from assets.importers.tcga.calls import CONSEQUENCES, UNKNOWN_CONSEQUENCE
from assets.importers.tcga.cohort import import_tcga_maf
from assets.importers.tcga.download import Files
from assets.importers.tcga.samples import choose, parse_barcode
from assets.landing.samplesheet import read_samplesheet
from oncoframe.contracts import Modality
from oncoframe.errors import FileMissing, ImpossibleValue, WrongFormat

#: A row about which nothing special is said.
ROW = {
    "Hugo_Symbol": "IDH2",
    "NCBI_Build": "GRCh38",
    "Chromosome": "chr15",
    "Start_Position": "90088702",
    "Variant_Classification": "Missense_Mutation",
    "Reference_Allele": "C",
    "Tumor_Seq_Allele1": "C",
    "Tumor_Seq_Allele2": "T",
    "Tumor_Sample_Barcode": "TCGA-AB-0001-03A-01W-0001-08",
    "t_depth": "100",
    "t_ref_count": "60",
    "t_alt_count": "40",
    "HGVSp_Short": "p.R140Q",
    "FILTER": "PASS",
    "callers": "muse;mutect2",
    "CONTEXT": "GGGGGCAAAAA",
}
NPM1 = {
    "Hugo_Symbol": "NPM1",
    "Chromosome": "chr5",
    "Start_Position": "171410539",
    "Variant_Classification": "Frame_Shift_Ins",
    "Reference_Allele": "-",
    "Tumor_Seq_Allele1": "-",
    "Tumor_Seq_Allele2": "TCTG",
    "HGVSp_Short": "p.W288Cfs*12",
    "CONTEXT": "ACAGATCTCTG",
}
LOSS = {
    "Hugo_Symbol": "TP53",
    "Chromosome": "chr17",
    "Start_Position": "7675000",
    "Variant_Classification": "Frame_Shift_Del",
    "Reference_Allele": "AG",
    "Tumor_Seq_Allele1": "AG",
    "Tumor_Seq_Allele2": "-",
    "CONTEXT": "TTTTTCAGGGGGG",
}
SECOND = "TCGA-AB-0002-03A-01W-0001-08"
THIRD = "TCGA-AB-0003-03A-01W-0001-08"


def maf(*rows: dict[str, str], comment: str = "#version gdc-2.4.0\n", drop: str = "") -> str:
    """MAF with one row per change of :data:`ROW`."""
    names = [name for name in ROW if name not in drop.split()]
    lines = ["\t".join({**ROW, **row}[name] for name in names) for row in rows]
    return comment + "\n".join(["\t".join(names), *lines]) + "\n"


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        file = folder / "source" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / "source"


def records(file: Path) -> list[tuple]:
    """Alleles and reads as cyvcf2, an independent reader, sees them."""
    with cyvcf2.VCF(file) as vcf:
        return [(v.CHROM, v.POS, v.REF, v.ALT[0], v.format("DP")[0, 0]) for v in vcf]


@pytest.fixture
def gdc(tmp_path) -> Path:
    """GDC: gzipped MAFs in folders of their own, segments, STAR counts."""
    return write(
        tmp_path,
        {
            "a/one.wxs.aliquot.maf.gz": gzip.compress(maf({}, NPM1, LOSS).encode()),
            "b/two.wxs.aliquot.maf.gz": gzip.compress(
                maf({"Tumor_Sample_Barcode": SECOND, "Chromosome": "chrX"}).encode()
            ),
            "cohort.grch38.seg.txt": (
                "GDC_Aliquot\tChromosome\tStart\tEnd\tNum_Probes\tSegment_Mean\n"
                "TCGA-AB-0001-03A-01D\t7\t1\t159000000\t900\t-0.95\n"
                "TCGA-AB-0001-03A-01D\t5\t62920\t1.8e+08\t700\t0.01\n"
                "TCGA-AB-0001-11A-01D\t7\t1\t159000000\t900\t0.0\n"
            ),
            "star_counts.tsv": (
                "gene_id\tgene_name\tTCGA-AB-0001-03A-01R\tTCGA-AB-0001-03B-01R\tTCGA-AB-0004-03A\n"
                "ENSG00000141510.18\tTP53\t12\t90\t3\nENSG00000122025.16\tFLT3\t0\t80\t4\n"
            ),
            "clinical.tsv": (
                "case_submitter_id\tgender\tage_at_index\tprimary_diagnosis\n"
                "TCGA-AB-0001\tfemale\t61\tAML, NOS\nTCGA-AB-0002\tmale\t'--\t'--\n"
            ),
        },
    )


@pytest.fixture
def cbioportal(tmp_path) -> Path:
    """cBioPortal: hg19, numbered chromosomes, no reads, case list, four lines before the header."""
    comments = "#Patient\n#text\n#STRING\n#1\n"
    rows = [
        {"NCBI_Build": "37", "Chromosome": "15", "Start_Position": "90631934",
         "Tumor_Sample_Barcode": "S-1", "CONTEXT": ""},
        {"NCBI_Build": "37", "Chromosome": "5", "Start_Position": "170837543",
         "Reference_Allele": "-", "Tumor_Seq_Allele2": "TCTG", "Tumor_Sample_Barcode": "S-1b",
         "CONTEXT": ""},
    ]  # fmt: skip
    return write(
        tmp_path,
        {
            "data_mutations.txt": maf(
                *rows, comment="", drop="t_depth t_ref_count t_alt_count callers"
            ),
            "data_cna_hg19.seg": (
                "ID\tchrom\tloc.start\tloc.end\tnum.mark\tseg.mean\nS-1\t23\t1000\t2000\t5\t0.5\n"
            ),
            "data_mrna_seq_v2_rsem.txt": (
                "Hugo_Symbol\tEntrez_Gene_Id\tS-1\tS-2\nTP53\t7157\t10.5\t3\n\t999\t1\t1\n"
            ),
            "data_clinical_patient.txt": comments + "PATIENT_ID\tSEX\tAGE\nP1\tFemale\t50\n",
            "data_clinical_sample.txt": comments + (
                "SAMPLE_ID\tPATIENT_ID\tCANCER_TYPE_DETAILED\n"
                "S-1\tP1\tAML with NPM1\nS-1b\tP1\tRelapse\nS-2\tP2\tMDS\nS-3\tP3\tCML\n"
            ),
            "case_lists/cases_sequenced.txt": "cancer_study_id: x\ncase_list_ids: S-1\tS-1b\tS-3\n",
        },
    )  # fmt: skip


def test_import_tcga_maf__gdc_download(gdc, tmp_path):
    """Every assay of one specimen, positions of the right build, indels with their base before."""
    summary = import_tcga_maf(gdc, tmp_path / "landing")

    assert records(tmp_path / "landing/snv/TCGA-AB-0001.vcf.gz") == [
        ("5", 171410539, "T", "TTCTG", 100),
        ("15", 90088702, "C", "T", 100),
        ("17", 7674999, "CAG", "C", 100),
    ]
    segments = (tmp_path / "landing/cnv/TCGA-AB-0001.seg").read_text().splitlines()
    assert segments == [
        "ID\tchrom\tloc.start\tloc.end\tnum.mark\tseg.mean",
        "TCGA-AB-0001-03A-01D\t5\t62920\t180000000\t700\t0.01",
        "TCGA-AB-0001-03A-01D\t7\t1\t159000000\t900\t-0.95",
    ]
    counts = (tmp_path / "landing/expression/TCGA-AB-0001.tsv").read_text()
    assert counts == "gene_id\tcounts\nTP53\t12\nFLT3\t0\n"
    sheet = read_samplesheet(str(tmp_path / "landing"))
    assert sheet.select("patient_id", "modality", "reference_build").rows() == [
        ("TCGA-AB-0001", "cnv", "GRCh38"),
        ("TCGA-AB-0001", "expression", None),
        ("TCGA-AB-0001", "snv", "GRCh38"),
        ("TCGA-AB-0002", "snv", "GRCh38"),
        ("TCGA-AB-0004", "expression", None),
    ]
    patients = pl.read_csv(tmp_path / "landing/clinical/patients.csv").rows()
    assert patients == [
        ("TCGA-AB-0001", "2020-01-01", "female", 61),
        ("TCGA-AB-0002", "2020-01-01", "male", None),
        ("TCGA-AB-0004", "2020-01-01", None, None),
    ]
    assert (summary.labelled, summary.normal_samples, summary.further_aliquots) == (1, 1, 1)


def test_import_tcga_maf__cbioportal_study(cbioportal, tmp_path):
    """A sequenced patient without a row is negative; a relapse is not the patient's specimen."""
    summary = import_tcga_maf(cbioportal, tmp_path / "landing")

    assert records(tmp_path / "landing/snv/P1.vcf.gz")[0][:4] == ("15", 90631934, "C", "T")
    assert records(tmp_path / "landing/snv/P3.vcf.gz") == []
    sheet = read_samplesheet(str(tmp_path / "landing"))
    assert sheet.filter(modality="snv")["patient_id"].to_list() == ["P1", "P3"]
    assert (tmp_path / "landing/cnv/P1.seg").read_text().endswith("S-1\tX\t1000\t2000\t5\t0.5\n")
    assert (tmp_path / "landing/expression/P2.tsv").read_text() == "gene_id\tcounts\nTP53\t3\n"
    labels = pl.read_csv(tmp_path / "landing/clinical/diagnoses.csv")
    assert dict(labels.select("patient_id", "label_value").iter_rows()) == {
        "P1": "AML with NPM1",
        "P2": "MDS",
        "P3": "CML",
    }
    assert (summary.other_specimens, summary.calls_of_other_samples) == (1, 1)
    assert summary.unnamed_genes == 1


def test_import_tcga_maf__calls_are_read_by_the_reader_of_variants(gdc, tmp_path):
    """Gene, consequence, hotspot: an insertion of four bases in NPM1 must stay one."""
    import_tcga_maf(gdc, tmp_path / "landing")

    found = extract(tmp_path / "landing/snv/TCGA-AB-0001.vcf.gz", reference_build="GRCh38")

    assert (found.records, found.used, found.failed) == (3, 3, {})
    assert list(found.blocks["snv_gene_burden"].names) == ["IDH2", "NPM1", "TP53"]
    assert found.features["NPM1_exon12_frameshift"] is True
    assert found.features["IDH2_R140"] is True
    assert found.features["snv_max_vaf"] == pytest.approx(0.4)


def test_import_tcga_maf__segments_are_read_by_the_reader_of_copy_numbers(gdc, tmp_path):
    """Columns or logarithm misread would make a lost chromosome 7 a neutral one."""
    import_tcga_maf(gdc, tmp_path / "landing")

    found = copy_numbers(tmp_path / "landing/cnv/TCGA-AB-0001.seg", reference_build="GRCh38")

    assert (found.records, found.used) == (2, 2)
    assert found.features["cnv_7q_ratio"] == pytest.approx(2**-0.95)


def test_import_tcga_maf__without_context_the_base_before_is_unknown(tmp_path):
    """Guessing it would put a wrong base into the file; N is what VCF has for that."""
    other = {"CONTEXT": "TTTTTCACGGGGG"}  # does not hold the lost bases
    text = maf({**NPM1, "CONTEXT": ""}, {**LOSS, **other})
    import_tcga_maf(write(tmp_path, {"x.maf": text}), tmp_path / "landing")

    assert [r[1:4] for r in records(tmp_path / "landing/snv/TCGA-AB-0001.vcf.gz")] == [
        (171410539, "N", "NTCTG"),
        (7674999, "NAG", "N"),
    ]


def test_import_tcga_maf__accounts_for_every_row(tmp_path):
    """Each row is a call, part of one, or counted under the reason for which it is none."""
    rows = [
        {},
        {"t_depth": "200", "t_alt_count": "70", "callers": "varscan2"},
        {"Chromosome": "chrUn_KI270742v1"},
        {"Start_Position": ""},
        {"Mutation_Status": "Germline"},
        {"FILTER": "panel_of_normals"},
        {"Tumor_Seq_Allele2": "C"},
        {"Tumor_Seq_Allele2": "?"},
        {"Tumor_Seq_Allele2": "C", "Tumor_Seq_Allele1": "A"},
        {"Tumor_Sample_Barcode": ""},
    ]
    names = [*ROW, "Mutation_Status"]
    lines = ["\t".join({**ROW, "Mutation_Status": "Somatic", **row}[n] for n in names)
             for row in rows]  # fmt: skip
    text = "\n".join(["\t".join(names), *lines]) + "\n"
    summary = import_tcga_maf(write(tmp_path, {"x.maf": text}), tmp_path / "landing")

    assert summary.calls_left_out == dict.fromkeys(
        ("other_contig", "no_position", "germline", "filter_not_pass", "no_alternate_allele",
         "unreadable_allele", "no_sample"), 1,
    )  # fmt: skip
    assert (summary.maf_rows, summary.calls, summary.merged_calls) == (10, 2, 1)
    with cyvcf2.VCF(tmp_path / "landing/snv/TCGA-AB-0001.vcf.gz") as vcf:
        [a, t] = list(vcf)
        assert (a.ALT, t.ALT) == (["A"], ["T"])
        assert t.format("DP")[0, 0] == 200
        assert t.INFO["CALLERS"] == "muse,mutect2,varscan2"


@pytest.mark.parametrize(
    ("rows", "build", "error", "message"),
    [
        ([{"NCBI_Build": ""}], None, WrongFormat, "genome build of the calls is not told"),
        ([{}, {"NCBI_Build": "hg19"}], None, WrongFormat, "not all on one genome build"),
        ([{}], "GRCh37", WrongFormat, "not all on one genome build"),
        ([{"NCBI_Build": "36"}], None, WrongFormat, "not all on one genome build"),
        ([{"Start_Position": "999999999"}], None, ImpossibleValue, "cannot be on GRCh38"),
        ([{"t_alt_count": "101"}], None, ImpossibleValue, "0 <= t_alt_count <= t_depth"),
        ([{"t_depth": "many"}], None, WrongFormat, "column t_depth holds values that are no whole"),
    ],
)
def test_import_tcga_maf__refuses_what_cannot_be(tmp_path, rows, build, error, message):
    """A lifted position on the wrong build is a variant of another gene."""
    source = write(tmp_path, {"x.maf": maf(*rows)})
    with pytest.raises(error, match=message) as raised:
        import_tcga_maf(source, tmp_path / "landing", files=Files(build=build))
    assert "TCGA" not in str(raised.value)
    assert not (tmp_path / "landing").exists()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"readme.md": "x"}, r"nothing to import.*--maf, --segments, --expression"),
        ({"x.maf": "a\tb\n1\t2\n"}, "7 columns are missing; expected Hugo_Symbol"),
        ({"a.seg": "ID\tchrom\n1\t2\n"}, "genome build of the segments is not told"),
        ({"hg19.seg": "ID\tchrom\n1\t2\n"}, "3 columns are missing; expected start, end, log2"),
        ({"cna_hg18.seg": "ID\tchrom\n1\t2\n"}, "segments are on a build that is not in use"),
        ({"a.seg": "", "b.seg": ""}, r"more than one segment file.*--segments FILE"),
        (
            {"hg19.seg": "ID\tchr\tstart\tend\tn\tvalue\nA\t7\t1\t159138664\t9\t0.1\n"},
            r"a segment cannot be on GRCh37.*--segments-build",
        ),
    ],
)
def test_import_tcga_maf__names_what_is_wrong_with_a_file(tmp_path, files, message):
    with pytest.raises((FileMissing, WrongFormat, ImpossibleValue), match=message):
        import_tcga_maf(write(tmp_path, files), tmp_path / "landing")


def test_import_tcga_maf__refuses_a_label_that_nobody_has(gdc, tmp_path):
    with pytest.raises(WrongFormat, match="no clinical table has a column FAB"):
        import_tcga_maf(gdc, tmp_path / "landing", labels=LabelSource(column="FAB"))


def test_consequences__are_terms_that_the_readers_know():
    """A term that no reader ranks would be the mildest of all."""
    assert {*CONSEQUENCES.values(), UNKNOWN_CONSEQUENCE} <= set(SEVERITY)


@pytest.mark.parametrize(
    ("name", "patient", "kind", "specimen", "is_tumour"),
    [
        ("TCGA-AB-2803-03A-01W-0728-08", "TCGA-AB-2803", 3, "TCGA-AB-2803-03", True),
        ("TCGA.AB.2803.11A", "TCGA-AB-2803", 11, "TCGA-AB-2803-11", False),
        ("TCGA-AB-2803-01", "TCGA-AB-2803", 1, "TCGA-AB-2803-01", True),
        ("TCGA-AB-2803", "TCGA-AB-2803", None, "TCGA-AB-2803", True),
        ("TARGET-20-PABCDE-09A-01R", "TARGET-20-PABCDE", 9, "TARGET-20-PABCDE-09", True),
        ("P-0000015-T01-IM3", "P-0000015", None, "P-0000015-T01-IM3", True),
        ("plain", "plain", None, "plain", True),
    ],
)
def test_parse_barcode__knows_patient_and_kind(name, patient, kind, specimen, is_tumour):
    found = parse_barcode(name, {"P-0000015-T01-IM3": "P-0000015"})

    assert (found.patient, found.sample_type, found.specimen) == (patient, kind, specimen)
    assert found.is_tumour is is_tumour


def test_choose__prefers_more_assays_then_the_primary_tumour():
    """Mutations of the metastasis beside the expression of the primary are of no patient."""
    choice = choose(
        {
            Modality.SNV: {"TCGA-AA-0001-06A", "TCGA-AA-0002-06A", "TCGA-AA-0002-01A"},
            Modality.EXPRESSION: {"TCGA-AA-0001-06A", "TCGA-AA-0001-01A"},
        },
        {},
    )

    assert choice.names == {
        Modality.SNV: {"TCGA-AA-0001-06A": "TCGA-AA-0001", "TCGA-AA-0002-01A": "TCGA-AA-0002"},
        Modality.EXPRESSION: {"TCGA-AA-0001-06A": "TCGA-AA-0001"},
    }


barcodes = st.builds(
    "TCGA-AA-000{}-{}{}".format,
    st.integers(0, 3),
    st.sampled_from(["01", "03", "06", "11", "20"]),
    st.sampled_from("AB"),
)


@given(st.dictionaries(st.sampled_from([Modality.SNV, Modality.CNV]), st.sets(barcodes)))
def test_choose__accounts_for_every_sample_and_mixes_no_specimens(assays):
    choice = choose(assays, {})

    landed = [name for names in choice.names.values() for name in names]
    lost = choice.normals + choice.other_specimens + choice.further_aliquots
    assert choice.samples == len(landed) + lost
    assert len({parse_barcode(name, {}) for name in landed}) == len({name[:12] for name in landed})
    assert all(name[13] == "0" for name in landed)


#: Columns of a MAF of the GDC, version 2.4.
_GDC_COLUMNS = (
    "Hugo_Symbol Entrez_Gene_Id Center NCBI_Build Chromosome Start_Position End_Position "
    "Strand Variant_Classification Variant_Type Reference_Allele Tumor_Seq_Allele1 "
    "Tumor_Seq_Allele2 dbSNP_RS dbSNP_Val_Status Tumor_Sample_Barcode "
    "Matched_Norm_Sample_Barcode Match_Norm_Seq_Allele1 Match_Norm_Seq_Allele2 "
    "Tumor_Validation_Allele1 Tumor_Validation_Allele2 Match_Norm_Validation_Allele1 "
    "Match_Norm_Validation_Allele2 Verification_Status Validation_Status Mutation_Status "
    "Sequencing_Phase Sequence_Source Validation_Method Score BAM_File Sequencer "
    "Tumor_Sample_UUID Matched_Norm_Sample_UUID HGVSc HGVSp HGVSp_Short Transcript_ID "
    "Exon_Number t_depth t_ref_count t_alt_count n_depth n_ref_count n_alt_count all_effects "
    "Allele Gene Feature Feature_type One_Consequence Consequence cDNA_position CDS_position "
    "Protein_position Amino_acids Codons Existing_variation DISTANCE TRANSCRIPT_STRAND SYMBOL "
    "SYMBOL_SOURCE HGNC_ID BIOTYPE CANONICAL CCDS ENSP SWISSPROT TREMBL UNIPARC "
    "UNIPROT_ISOFORM RefSeq MANE APPRIS FLAGS SIFT PolyPhen EXON INTRON DOMAINS 1000G_AF "
    "1000G_AFR_AF 1000G_AMR_AF 1000G_EAS_AF 1000G_EUR_AF 1000G_SAS_AF ESP_AA_AF ESP_EA_AF "
    "gnomAD_AF gnomAD_AFR_AF gnomAD_AMR_AF gnomAD_ASJ_AF gnomAD_EAS_AF gnomAD_FIN_AF "
    "gnomAD_NFE_AF gnomAD_OTH_AF gnomAD_SAS_AF MAX_AF MAX_AF_POPS gnomAD_non_cancer_AF "
    "gnomAD_non_cancer_AFR_AF gnomAD_non_cancer_AMI_AF gnomAD_non_cancer_AMR_AF "
    "gnomAD_non_cancer_ASJ_AF gnomAD_non_cancer_EAS_AF gnomAD_non_cancer_FIN_AF "
    "gnomAD_non_cancer_MID_AF gnomAD_non_cancer_NFE_AF gnomAD_non_cancer_OTH_AF "
    "gnomAD_non_cancer_SAS_AF gnomAD_non_cancer_MAX_AF_adj gnomAD_non_cancer_MAX_AF_POPS_adj "
    "CLIN_SIG SOMATIC PUBMED TRANSCRIPTION_FACTORS MOTIF_NAME MOTIF_POS HIGH_INF_POS "
    "MOTIF_SCORE_CHANGE miRNA IMPACT PICK VARIANT_CLASS TSL HGVS_OFFSET PHENO GENE_PHENO "
    "CONTEXT case_id GDC_FILTER COSMIC hotspot tumor_bam_uuid normal_bam_uuid RNA_Support "
    "RNA_depth RNA_ref_count RNA_alt_count callers "
)
GDC_COLUMNS = _GDC_COLUMNS.split()


def real_maf(*rows: dict[str, str]) -> str:
    """MAF as the GDC writes it: every column, four lines of comment."""
    comment = "#version gdc-1.0.0\n#filedate 20220101\n#n.analyzed.samples 2\n#tumor.aliquots x\n"
    filled = [{**dict.fromkeys(GDC_COLUMNS, ""), **ROW, "SOMATIC": "1;1", **row} for row in rows]
    lines = ["\t".join(row[name] for name in GDC_COLUMNS) for row in filled]
    return comment + "\n".join(["\t".join(GDC_COLUMNS), *lines]) + "\n"


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_import_tcga_maf__reads_a_maf_with_all_its_columns(tmp_path, ends):
    """Columns that nobody reads, comments, line ends of every system, barcodes as clinical key."""
    assert len(GDC_COLUMNS) == 140
    content = real_maf({}, NPM1, {"Tumor_Sample_Barcode": SECOND}).replace("\n", ends)
    clinical = (
        "Tumor_Sample_Barcode\tFAB_classification\n"
        f"{ROW['Tumor_Sample_Barcode']}\tM4\n{SECOND}\tM3\n"
    ).replace("\n", ends)
    source = write(tmp_path, {"cohort.maf": content, "clinical.tsv": clinical})
    labels = LabelSource(column="FAB_classification")
    summary = import_tcga_maf(source, tmp_path / "landing", labels=labels)
    assert (summary.maf_rows, summary.calls, summary.labelled, summary.classes) == (3, 3, 2, 2)
    assert records(tmp_path / "landing/snv/TCGA-AB-0001.vcf.gz") == [
        ("5", 171410539, "T", "TTCTG", 100),
        ("15", 90088702, "C", "T", 100),
    ]
