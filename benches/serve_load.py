"""Concurrent streams against `orrery serve`, and against llama.cpp's server (PyPI xllamacpp) under the same load.

    python benches/serve_load.py --model smollm2.gguf --orrery target/release/orrery --streams 32 --seconds 60

One server runs at a time. Every client sends a prompt of its own, reads its stream to the end, and sends the next. Counted are
the pieces that come within the time; both servers send a piece a token.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time

TOPICS = "sea moon river bread winter music iron glass tiger paper engine garden letter bridge cloud stone".split()


def body(client, turn, tokens):
    topic = TOPICS[(client + turn) % len(TOPICS)]
    system = "You are a patient teacher. Answer in plain words, without lists, and do not repeat yourself."
    return {
        "model": "smollm2", "stream": True, "max_tokens": tokens, "temperature": 0.7, "top_p": 0.95, "seed": 1000 * client + turn,
        "ignore_eos": True, "top_k": 0, "min_p": 0,
        "messages": [{"role": "system", "content": system},
                     {"role": "user", "content": f"Tell me about the word {topic}, number {client} of {turn}."}],
    }


async def stream(host, port, request, begun, seconds, marks, errors):
    text = json.dumps(request).encode()
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {len(text)}\r\n\r\n"
    writer.write(head.encode() + text)
    status = await reader.readline()
    if b" 200 " not in status:
        errors.append(status.decode().strip())
    times = []
    sent = time.perf_counter()
    async for line in reader:
        if not line.startswith(b"data: "):
            continue
        if line.startswith(b"data: [DONE]"):
            break
        piece = json.loads(line[6:])
        if "error" in piece:
            errors.append(piece["error"]["message"])
            break
        now = time.perf_counter()
        choices = piece.get("choices") or []
        if choices and choices[0]["delta"].get("content"):
            times.append(now)
        if now - begun > seconds:
            break
    writer.close()
    marks.append((sent, times))


async def client(number, host, port, tokens, begun, seconds, marks, errors):
    turn = 0
    while time.perf_counter() - begun < seconds:
        try:
            await stream(host, port, body(number, turn, tokens), begun, seconds, marks, errors)
        except Exception as error:  # noqa: BLE001 - every failure counts
            errors.append(repr(error))
            await asyncio.sleep(0.1)
        turn += 1


async def load(host, port, streams, tokens, seconds):
    marks, errors = [], []
    begun = time.perf_counter()
    await asyncio.gather(*(client(i, host, port, tokens, begun, seconds, marks, errors) for i in range(streams)))
    took = time.perf_counter() - begun
    gaps = sorted(b - a for _, times in marks for a, b in zip(times, times[1:]))
    first = sorted(times[0] - sent for sent, times in marks if times)
    at = lambda values, share: 1000 * values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")
    return {
        "streams": streams, "seconds": round(took, 1), "requests": len(marks), "errors": len(errors), "some_errors": errors[:3],
        "tokens_per_second": round(sum(len(times) for _, times in marks) / took, 1),
        "between_tokens_ms": {"p50": round(at(gaps, 0.5), 1), "p95": round(at(gaps, 0.95), 1)},
        "first_token_ms": {"p50": round(at(first, 0.5), 1), "p95": round(at(first, 0.95), 1)},
        "mean_gap_ms": round(1000 * statistics.fmean(gaps), 1) if gaps else None,
    }


def orrery(args):
    command = [args.orrery, "serve", "--port", "0", "--json", "--quiet", "--model", f"smollm2={args.model}", "--slots", str(args.streams)]
    command += ["--threads", str(args.threads)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    port = int(json.loads(child.stdout.readline())["url"].rsplit(":", 1)[1])
    return child, "127.0.0.1", port


def llama(args):
    code = f"""
import sys, time
import xllamacpp as x
p = x.CommonParams()
p.model.path = {args.model!r}
p.n_parallel = {args.streams}
p.n_ctx = 1024 * {args.streams}
p.cpuparams.n_threads = {args.threads}
p.cpuparams_batch.n_threads = {args.threads}
p.n_gpu_layers = 0
p.cont_batching = True
p.hostnames = ['127.0.0.1']
p.port = 0
s = x.Server(p)
print(s.listening_address, flush=True)
time.sleep(100000)
"""
    child = subprocess.Popen([args.llama_python, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in child.stdout:
        if line.startswith("http://127.0.0.1:"):
            place = line.strip().rsplit("/", 1)[-1]
            host, port = place.rsplit(":", 1)
            return child, host, int(port)
    sys.exit("llama.cpp's server did not start")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--orrery", default="orrery")
    parser.add_argument("--llama-python", default=sys.executable)
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=["orrery", "llama"])
    args = parser.parse_args()
    for name, start in [("orrery", orrery), ("llama", llama)]:
        if args.only not in (None, name):
            continue
        child, host, port = start(args)
        try:
            asyncio.run(load(host, port, 2, 8, 3))  # warm
            print(name, json.dumps(asyncio.run(load(host, port, args.streams, args.tokens, args.seconds))), flush=True)
        finally:
            child.kill()
            child.wait()


if __name__ == "__main__":
    main()
