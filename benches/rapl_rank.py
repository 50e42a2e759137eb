"""Ten videos ranked by keyboard on the page of `orrery rapl rank` in headless Chromium, then in the terminal; the page is killed
with SIGKILL in between; and files that cannot be right, each of which must be told in one line.

    python3 benches/rapl_rank.py target/release/orrery [--picture page.png]

Needs chromium and chromedriver (Debian: chromium, chromium-driver). Ends with 1 where anything is not as it must be.
"""

import argparse
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from serve_page import Browser  # noqa: E402


def check(what, holds, detail=""):
    print(f"{'ok  ' if holds else 'FAIL'} {what} {detail}", flush=True)
    if not holds:
        raise SystemExit(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("orrery", type=Path)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    program = str(given.orrery.resolve())

    def orrery(*arguments, wrong=False, **more):
        command = [program, "rapl", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, **more)
        if not wrong:
            check(" ".join(map(str, arguments[:2])), done.returncode == 0, done.stderr.strip())
        return done

    orrery("collect", "--episodes", 10, "--out", "rollouts")
    ranked = folder / "rollouts" / "rankings.jsonl"
    lines = lambda: [json.loads(line) for line in ranked.read_text().splitlines()] if ranked.exists() else []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    page = f"http://127.0.0.1:{port}"

    def serve():
        told = subprocess.DEVNULL
        process = subprocess.Popen(
            [program, "rapl", "rank", "--videos", "rollouts", "--count", "8", "--port", str(port)],
            cwd=folder, stdout=told, stderr=told,
        )  # fmt: skip
        for _ in range(200):
            try:
                urllib.request.urlopen(page, timeout=5).read()
                return process
            except OSError:
                time.sleep(0.1)
        check("the page answers", False)

    browser = Browser()
    process = serve()
    try:
        browser.size(1000, 700)

        def opened():
            browser.open(page)
            browser.until("return document.querySelectorAll('img').length == 3", 60)
            loaded = "return [...document.querySelectorAll('img')].every(i => i.complete && i.naturalWidth > 0)"
            browser.until(loaded, 60)

        def ranks(keys, count):
            browser.type(keys)
            browser.until(f"return document.querySelector('#count').textContent.startsWith('{count} of')", 60)

        asked = lambda: json.load(urllib.request.urlopen(f"{page}/api/next"))["videos"]
        names = [json.loads(line)["video"] for line in (folder / "rollouts" / "videos.jsonl").read_text().splitlines()]
        opened()
        three = asked()
        ranks("31", 1)
        want = [names[three[at]] for at in (2, 0, 1)]
        check("keys 3, 1 rank the third, first, second", lines()[-1] == {"ranking": want}, str(lines()[-1]))
        three = asked()
        ranks("1u23", 2)
        want = [names[three[at]] for at in (1, 2, 0)]
        check("u takes back", lines()[-1] == {"ranking": want}, str(lines()[-1]))
        ranks("s", 3)
        check("s skips", "skipped" in lines()[-1])
        if given.picture:
            browser.type("2")
            time.sleep(0.3)
            browser.picture(given.picture)
            browser.type("u")
        ranks("12", 4)
        process.send_signal(signal.SIGKILL)
        process.wait()
        check("four answers are kept when the page is killed", len(lines()) == 4)
        browser.type("12")
        browser.until("return document.querySelector('#said').textContent.includes('Not stored')", 60)
        check("the page says what is not stored", True)
        process = serve()
        opened()
        for count in range(5, 9):
            ranks("21", count)
        browser.until("return document.querySelector('#said').textContent.includes('All is ranked')", 60)
        check("the end is told, and the program ends by itself", process.wait(60) == 0)
        check("eight answers are kept", len(lines()) == 8)
    finally:
        process.kill()
        browser.close()

    done = orrery("rank", "--videos", "rollouts", "--user", "terminal", "--count", 11, input="312\nnonsense\n213\ns\n")
    check("the terminal ranks three more", len(lines()) == 11 and "11 of 11" in done.stdout, done.stdout.strip())
    orrery("align", "--triplets", "rollouts/rankings.jsonl", "--epochs", 3, "--out", "encoder.safetensors")
    best, other = (f"rollouts/{names[at]}" for at in (0, 1))
    reward = ("reward", "--encoder", "encoder.safetensors", "--expert", best, "--video")
    orrery(*reward, other, "--curve", "curve.svg", "--plan", "plan.png")
    check("a curve is drawn", "<polyline" in (folder / "curve.svg").read_text())

    # A video of one frame, and a longer one: a folder of pictures each.
    frames = sorted_frames(folder, program, best)
    single, long = folder / "single", folder / "long"
    single.mkdir(), long.mkdir()
    shutil.copy(frames[-1], single / "0.png")
    for at in range(75):
        shutil.copy(frames[at % len(frames)], long / f"{at:03}.png")
    for name in ("single", "long"):
        orrery(*reward, name)
        orrery(*reward, name, "--all")
    mixed = folder / "mixed.jsonl"
    rows = [("single", "long", best), (best, "single", other), ("long", other, "single")]
    mixed.write_text("".join(json.dumps({"ranking": list(row)}) + "\n" for row in rows))
    orrery("align", "--triplets", "mixed.jsonl", "--epochs", 1, "--out", "mixed.safetensors")

    def told(what, file, text, *parts):
        (folder / file).write_text(text)
        done = orrery("align", "--triplets", file, "--epochs", 1, "--out", "no.safetensors", wrong=True)
        said = done.stderr.strip()
        one = len(said.splitlines()) == 1 and all(part in said for part in parts)
        check(what, done.returncode == 2 and one and not (folder / "no.safetensors").exists(), said)

    told("a triplet that names a missing file", "missing.jsonl", json.dumps({"ranking": [best, other, "nowhere.gif"]}), "nowhere.gif")
    told("a line that is not a ranking", "broken.jsonl", '{"ranking": ["a", "b"]}', "line 1")
    told("a ranking that names one video twice", "twice.jsonl", json.dumps({"ranking": [best, best, other]}), "line 1", "twice")
    against = [{"ranking": [best, other, "long"]}, {"ranking": [best, "long", other]}]
    (folder / "against.jsonl").write_text("".join(json.dumps(row) + "\n" for row in against))
    done = orrery("align", "--triplets", "against.jsonl", "--epochs", 1, "--out", "against.safetensors")
    check("contradictory rankings are told in one line, and learned from", "contradict" in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr.strip())
    shutil.rmtree(folder)


def sorted_frames(folder, program, video):
    """The frames of a safetensors video as pictures."""
    import struct
    import zlib

    data = (folder / video).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    entry = json.loads(data[8 : 8 + length])["frames"]
    (count, _, height, width), start = entry["shape"], 8 + length + entry["data_offsets"][0]
    out = folder / "frames"
    out.mkdir()

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    for at in range(count):
        frame = data[start + at * 3 * height * width :][: 3 * height * width]
        plane = height * width
        rows = b"".join(
            b"\0" + bytes(frame[k * plane + y * width + x] for x in range(width) for k in range(3)) for y in range(height)
        )
        head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
        (out / f"{at:03}.png").write_bytes(png)
    return sorted(out.iterdir())


if __name__ == "__main__":
    main()
