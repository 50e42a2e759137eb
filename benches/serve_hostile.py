"""Clients that mean no good, against a running `orrery serve`; beside them a good one asks all the time.

    python benches/serve_hostile.py --url http://127.0.0.1:8080 --pid $(pgrep -f "orrery serve")

Prints how long the good client waited, and the server's memory before, at most and after.
"""

import argparse
import json
import random
import socket
import threading
import time
import urllib.parse
import urllib.request


def memory(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmRSS"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args()
    place = urllib.parse.urlparse(args.url)
    address = (place.hostname, place.port)
    host = f"Host: {place.netloc}\r\n".encode()
    post = b"POST /v1/chat/completions HTTP/1.1\r\n" + host + b"Content-Type: application/json\r\n"
    end = time.monotonic() + args.seconds
    counts, most, waits, wrong = {}, [memory(args.pid)], [], []

    def connect():
        stream = socket.create_connection(address, timeout=10)
        return stream

    def hang(count):
        held = [connect() for _ in range(count)]
        for stream in held[::2]:
            stream.sendall(b"GET / HTTP/1.1\r\nHo")
        time.sleep(max(0, end - time.monotonic()))
        for stream in held:
            stream.close()

    def drip():
        stream = connect()
        stream.sendall(post)
        for letter in "x-slow: " + "y" * 100_000:
            if time.monotonic() > end:
                break
            stream.sendall(letter.encode())
            time.sleep(0.5)

    def half():
        stream = connect()
        stream.sendall(post + b"Content-Length: 100\r\n\r\n{")
        stream.shutdown(socket.SHUT_WR)
        stream.recv(4096)

    def large():
        stream = connect()
        stream.sendall(post + b"Content-Length: 104857600\r\n\r\n")
        for _ in range(100):
            stream.sendall(b" " * (1 << 20))

    def chunked():
        stream = connect()
        stream.sendall(post + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(100):
            stream.sendall(b"100000\r\n" + b" " * (1 << 20) + b"\r\n")

    def send(data):
        stream = connect()
        stream.sendall(post + f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
        return stream.recv(4096)

    def deep():
        send(b"[" * 100_000 + b"]" * 100_000)

    def rubbish():
        send(random.randbytes(2000))

    def headers():
        stream = connect()
        stream.sendall(b"GET / HTTP/1.1\r\n" + host + b"".join(b"x-%d: y\r\n" % i for i in range(50_000)) + b"\r\n")
        stream.recv(4096)

    def leaves():
        body = json.dumps({"messages": [{"role": "user", "content": "go on"}], "max_tokens": 2000, "stream": True, "ignore_eos": True}).encode()
        stream = connect()
        stream.sendall(post + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        stream.recv(2000)
        stream.close()

    def deaf():
        body = json.dumps({"messages": [{"role": "user", "content": "go on"}], "max_tokens": 2000, "stream": True, "ignore_eos": True}).encode()
        stream = connect()
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        stream.sendall(post + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(min(20, max(0, end - time.monotonic())))

    def again(work):
        while time.monotonic() < end:
            try:
                work()
            except OSError:
                pass
            counts[work.__name__] = counts.get(work.__name__, 0) + 1

    def good():
        body = json.dumps({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}).encode()
        while time.monotonic() < end:
            begun = time.monotonic()
            try:
                request = urllib.request.Request(args.url + "/v1/chat/completions", body, {"Content-Type": "application/json"})
                with urllib.request.urlopen(request, timeout=60) as answer:
                    json.load(answer)
                waits.append(time.monotonic() - begun)
            except Exception as error:  # noqa: BLE001 - counted
                wrong.append(repr(error))
                time.sleep(0.2)

    def watch():
        while time.monotonic() < end:
            most.append(memory(args.pid))
            time.sleep(0.2)

    threads = [threading.Thread(target=hang, args=(1000,)), threading.Thread(target=good), threading.Thread(target=watch)]
    threads += [threading.Thread(target=again, args=(work,)) for work in (drip, half, large, chunked, deep, rubbish, headers, leaves, deaf)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(25)
    waits.sort()
    print(json.dumps({
        "good_requests": len(waits), "good_failures": len(wrong), "some_failures": wrong[:3],
        "good_wait_s": {"p50": round(waits[len(waits) // 2], 2), "most": round(waits[-1], 2)} if waits else None,
        "hostile": counts, "memory_mb": {"before": most[0], "most": max(most), "after": memory(args.pid)},
    }))


if __name__ == "__main__":
    main()
