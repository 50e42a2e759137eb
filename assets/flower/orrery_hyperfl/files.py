"""Safetensors files of f32 values as Flower arrays, and calls of the binary."""

import json
import struct
import subprocess
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord


def read(path):
    """The tensors of a file as an ArrayRecord, and its notes."""
    content = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    notes = header.pop("__metadata__", {})
    arrays = {}
    for name, entry in header.items():
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        dtype = {"F32": "<f4", "F16": "<f2"}[entry["dtype"]]
        values = np.frombuffer(content[start:end], dtype=dtype).reshape(entry["shape"])
        arrays[name] = Array(values)
    return ArrayRecord(arrays), notes


def write(path, record, notes):
    """Writes an ArrayRecord as a file with notes."""
    header, blobs, at = {"__metadata__": notes}, [], 0
    for name, array in record.items():
        values = np.ascontiguousarray(array.numpy())
        dtype = {"float32": "F32", "float16": "F16"}.get(values.dtype.name)
        if dtype is None:
            raise ValueError(f"`{name}` holds {values.dtype}: float32 or float16 can be averaged")
        blob = values.tobytes()
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def orrery(program, verb, settings, *arguments):
    """Runs a verb of `orrery hyperfl`; gives its JSON and what it told."""
    command = [program, "hyperfl", verb, *settings.split(), *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip() or f"{program} ended with {done.returncode}")
    return json.loads(done.stdout), done.stderr.strip()
