"""Writes tests/quant_cases.json: random blocks of GGUF formats and what the `gguf` package makes of them.

pip install gguf==0.19.0 numpy; python3 quant_cases.py > quant_cases.json
"""
import json
import numpy as np
from gguf import GGMLQuantizationType as T
from gguf.quants import dequantize

rng = np.random.default_rng(20241209)
# Where f16 scales lie in a block, its bytes and its values.
FORMATS = {"Q8_0": ([0], 34, 32), "Q4_0": ([0], 18, 32), "Q4_1": ([0, 2], 20, 32),
           "Q4_K": ([0, 2], 144, 256), "Q6_K": ([208], 210, 256),
           "Q5_0": ([0], 22, 32), "Q5_1": ([0, 2], 24, 32), "Q2_K": ([80, 82], 84, 256),
           "Q3_K": ([108], 110, 256), "Q5_K": ([0, 2], 176, 256)}
cases = []
for name, (scales, size, values) in FORMATS.items():
    rows, columns = 1 if name in ("Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q5_K") else 2, 256
    blocks = rng.integers(0, 256, (rows * columns // values, size), dtype=np.uint8)
    for at in scales:
        halves = rng.normal(0, 0.02, len(blocks)).astype(np.float16)
        blocks[:, at:at + 2] = halves.view(np.uint8).reshape(-1, 2)
    got = dequantize(blocks, T[name]).astype(np.float32).reshape(rows, columns)
    cases.append({"kind": name, "type": int(T[name]), "rows": rows, "columns": columns,
                  "bytes": blocks.tobytes().hex(), "values": got.view(np.uint32).ravel().tolist()})
print(json.dumps({"made": "see quant_cases.py; gguf 0.19.0; values are the bits of f32", "cases": cases}))
