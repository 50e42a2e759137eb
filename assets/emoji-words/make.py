#!/usr/bin/env python3
"""Words that people use for the subjects of `emoji-styles-32`, from Unicode CLDR's annotations.

usage: make.py FOLDER INDEX OUT      FOLDER: npm cldr-annotations-full, unpacked; INDEX: ../emoji-styles-32/index.tsv

A line of OUT (zlib): code, language, names (`|` between them), other words (`|`).
"""
import json
import sys
import zlib
from pathlib import Path

FOLDER, INDEX, OUT = sys.argv[1:]
LANGUAGES = {
    "en": ["en", "en-001", "en-GB"], "zh": ["zh", "zh-Hant"], "ja": ["ja"], "ko": ["ko"], "fr": ["fr", "fr-CA"],
    "es": ["es", "es-419", "es-MX"], "ru": ["ru"], "hi": ["hi"], "ar": ["ar"], "bn": ["bn"], "ur": ["ur"], "de": ["de"],
}


def annotations(locale):
    text = (Path(FOLDER) / "annotations" / locale / "annotations.json").read_text()
    return json.loads(text)["annotations"]["annotations"]


locales = {locale: annotations(locale) for group in LANGUAGES.values() for locale in group}
lines = []
for row in Path(INDEX).read_text().splitlines()[1:]:
    _, code, _, skin = row.split("\t")[:4]
    if skin:
        continue
    emoji = "".join(chr(int(part, 16)) for part in code.split("-"))
    for language, group in LANGUAGES.items():
        entries = [locales[locale].get(emoji) or locales[locale].get(emoji + "\ufe0f") or {} for locale in group]
        names = list(dict.fromkeys(name for entry in entries for name in entry.get("tts", [])))
        words = dict.fromkeys(word for entry in entries for word in entry.get("default", []))
        words = [word for word in words if word not in names]
        if names or words:
            lines.append("\t".join([code, language, "|".join(names), "|".join(words)]))
Path(OUT).write_bytes(zlib.compress("\n".join(lines).encode(), 9))
print(len(lines), "lines")
