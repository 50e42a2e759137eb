"""Scores of two detectors from PyPI, for `orrery prove guardian`: alt-profanity-check and securevector-guardian-model.

    pip install alt-profanity-check securevector-guardian-model
    ORRERY_PEER_PYTHON=.venv/bin/python orrery prove guardian

Reads one JSON string a line; writes one JSON object a line: P(profane) and the malicious share, and what each flags by
its own default.
"""

import importlib.metadata
import json
import sys

from profanity_check import predict_prob
from svguardian import resolve_runtime
from svguardian.model.pure_infer import PureGuardian
from svguardian.window import predict_windowed

guard = PureGuardian.load(resolve_runtime())
texts = [json.loads(line) for line in sys.stdin]
for text, profane in zip(texts, predict_prob(texts)):
    found = predict_windowed(guard, text)
    row = {
        "alt-profanity-check": [float(profane), bool(profane >= 0.5)],
        "securevector-guardian-model": [found["malicious_score"], found["verdict"] == "malicious"],
    }
    print(json.dumps(row))
versions = {name: importlib.metadata.version(name) for name in row} if texts else {}
print(json.dumps({"versions": versions}))
