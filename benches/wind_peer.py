"""Exhaustive retrieval in numpy over the noises that Orrery derives, for `orrery prove wind` and `orrery bench --suite diffusion`.

    pip install numpy cryptography
    ORRERY_PEER_PYTHON=.venv/bin/python orrery prove wind

Arguments: salt, number of noises, a file with latents `[4, 64, 64]` as little-endian f32. Prints the index of the nearest
noise and the seconds for all of them. The nearest is looked for among all noises; the time is that of every tenth, ten times.
"""

import hashlib
import hmac
import struct
import sys
import time

import numpy

SHAPE = (4, 64, 64)
COUNT = 4 * 64 * 64
ZEROS = bytes(4 * COUNT)
SIDES = struct.pack("<III", *SHAPE)


def noise(salt, index):
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

    seed = hmac.digest(salt, b"orrery-wind-v1" + struct.pack("<Q", index) + SIDES, hashlib.sha256)
    stream = Cipher(algorithms.ChaCha20(seed, bytes(16)), mode=None).encryptor().update(ZEROS)
    words = numpy.frombuffer(stream, dtype="<u4").reshape(-1, 2, 16)
    radius = numpy.sqrt(-2.0 * numpy.log((words[:, 0].astype("f8") + 0.5) * 2.0**-32))
    angle = words[:, 1] * (2.0 * numpy.pi / 2.0**32)
    values = numpy.empty((len(words), 2, 16), dtype="f4")
    values[:, 0] = radius * numpy.cos(angle)
    values[:, 1] = radius * numpy.sin(angle)
    return values.reshape(-1)


def nearest(salt, query, indices):
    best = (-1.0, -1)
    for index in indices:
        values = noise(salt, index)
        best = max(best, (float(values @ query / numpy.linalg.norm(values)), index))
    return best


def retrieval():
    """A benchmark of the suite: every tenth of 100,000 noises."""
    query = noise(b"another salt", 0)
    run = lambda: nearest(b"the benchmark's salt", query, range(0, 100_000, 10))
    run.times = 10
    return run


if len(sys.argv) == 4:
    salt, noises, path = sys.argv[1].encode(), int(sys.argv[2]), sys.argv[3]
    query = numpy.fromfile(path, dtype="<f4")
    query = query / numpy.linalg.norm(query)
    begun = time.perf_counter()
    part = nearest(salt, query, range(0, noises, 10))
    seconds = (time.perf_counter() - begun) * 10
    whole = max([part] + [nearest(salt, query, range(first, noises, 10)) for first in range(1, 10)])
    print(whole[1], seconds)
