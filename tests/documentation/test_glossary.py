"""The glossary is in order, and has the words that the README takes for granted."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "start" / "glossary.md").read_text()
TERMS = re.findall(r"^\*\*(.+)\*\*\n:   [A-Z0-9]", PAGE, re.MULTILINE)


def test_terms_are_in_order_and_each_has_its_sentence() -> None:
    assert len(TERMS) == PAGE.count("\n**") >= 40
    assert [term.lower() for term in TERMS] == sorted(term.lower() for term in TERMS)


def test_the_words_of_tables_and_charts_are_explained() -> None:
    words = {word.strip() for term in TERMS for word in term.lower().split(",")}
    asked = "Pareto front,PSNR,SSIM,MAC,GMAC,held out,trial,candidate,study,sampler,baseline"
    asked += ",hypervolume,delegate,NNAPI,PTQ,QAT,interval,fallback,placement,known shake,front"
    assert not [word for word in asked.lower().split(",") if word not in words]
