#!/usr/bin/env python3
"""Three PDFs of the docling project as four parsers read them, and the project's own markdown as the reference.

    python3 -m venv /tmp/parsers
    /tmp/parsers/bin/pip install "markitdown[pdf]==0.1.9" pdfplumber==0.11.10 pypdfium2==5.15.2 pdfminer.six==20260107
    /tmp/parsers/bin/python make.py FOLDER_WITH_THE_PDFS

Writes a folder a parser beside this file, and `reference`. Parsers run with their defaults; pages of a PDF are joined by blank
lines. Of the reference, comments that stand for pictures and formulas (`<!-- image -->`) go: they are not on the page.
"""

import re
import sys
from pathlib import Path

import pdfplumber
import pypdfium2
from markitdown import MarkItDown
from pdfminer.high_level import extract_text

HERE = Path(__file__).resolve().parent


def plumber(path):
    with pdfplumber.open(path) as pdf:
        return "\n\n".join(page.extract_text() for page in pdf.pages)


def pdfium(path):
    pdf = pypdfium2.PdfDocument(path)
    return "\n\n".join(page.get_textpage().get_text_range() for page in pdf)


PARSERS = {
    "markitdown": lambda path: MarkItDown().convert(str(path)).markdown,
    "pdfplumber": plumber,
    "pypdfium2": pdfium,
    "pdfminer.six": lambda path: extract_text(path).replace("\f", "\n\n"),
}


def write(folder, name, text):
    text = "\n".join(line.rstrip() for line in text.replace("\r", "").split("\n")).strip()
    (HERE / folder).mkdir(exist_ok=True)
    (HERE / folder / f"{name}.md").write_text(text + "\n", encoding="utf-8")


for pdf in sorted(Path(sys.argv[1]).glob("*.pdf")):
    reference = pdf.with_suffix(".md").read_text(encoding="utf-8")
    write("reference", pdf.stem, re.sub(r"<!--.*?-->\n*", "", reference))
    for parser, parse in PARSERS.items():
        write(parser, pdf.stem, parse(pdf))
