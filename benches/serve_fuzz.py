"""Mutated requests against a running `orrery serve`: the request parser must answer each, with an error object where it refuses.

    python benches/serve_fuzz.py --url http://127.0.0.1:8080 --pid $(pgrep -f "orrery serve") --seconds 600 --seed 1

Valid bodies of every POST route are changed as JSON (types swapped, numbers at their limits, fields left out, doubled, nested) or
as bytes (flipped, cut, doubled). A wrong answer is a closed connection, a status of 5xx other than 503, or a refusal that is no
error object; each is printed with its request. Ends with 1 if there was one.
"""

import argparse
import collections
import copy
import http.client
import json
import random
import sys
import time
import urllib.parse

TALK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object", "properties": {"a": {"enum": ["x", 1]}}, "required": ["a"]}}}
BODIES = {
    "/v1/chat/completions": [
        {"messages": TALK, "max_tokens": 2, "stream": False, "temperature": 0.7, "top_p": 0.9, "stop": ["\n"], "n": 1, "seed": 3},
        {"messages": TALK, "max_tokens": 2, "logprobs": True, "top_logprobs": 3, "logit_bias": {"5": -1.0}, "context_length": 64},
        {"messages": TALK, "max_tokens": 4, "tools": [TOOL], "tool_choice": "required"},
        {"messages": TALK, "max_tokens": 4, "response_format": SCHEMA, "stream": True, "stream_options": {"include_usage": True}},
        {"messages": TALK, "max_tokens": 4, "response_format": {"type": "regex", "pattern": "[ab]+(c|d){1,3}"}},
        {"messages": TALK, "max_tokens": 4, "response_format": {"type": "grammar", "grammar": 'start: "a" | "b" start'}},
        {"messages": TALK, "max_tokens": 2, "harp": {"theta": 1.5, "mask": "persistent"}},
        {"messages": TALK, "max_tokens": 2, "guide": {"towards": ["happy"], "away": ["sad"], "k": 4, "weight": 0.5}},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}], "max_tokens": 1},
    ],
    "/v1/completions": [{"prompt": ["a", "b"], "max_tokens": 2, "echo": True, "logprobs": 2}, {"prompt": [[1, 2, 3]], "max_tokens": 1}],
    "/v1/embeddings": [{"input": ["a", "b"], "encoding_format": "base64"}],
    "/v1/moderations": [{"input": "hello"}],
    "/v1/guardian/check": [{"messages": TALK, "risks": ["harm"]}, {"prompt": "a", "response": "b", "risks": ["mine"], "definition": "d"}],
    "/v1/images/generations": [{"prompt": "red apple", "n": 1, "seed": 1, "steps": 1, "size": "32x32", "style": "noto"}],
    "/v1/judge/omnidocbench": [
        {"pages": [{"markdown": "# A\n\n$$x^2$$\n\n<table><tr><td>1</td></tr></table>", "prediction": "# A\n\n$$y$$"}], "cdm": True},
        {"pages": [{"page": {"layout_dets": [{"category_type": "title", "text": "A", "order": 1, "anno_id": 1}], "page_info": {}}, "prediction": "A"}], "records": True},
    ],
    "/v1/counterspeech": [{"message": "You are silly.", "parents": ["Hi"], "history": ["I like tea."], "examples": ["Ahoy."], "max_tokens": 2, "seed": 1}],
    "/wind/generate": [{"prompt": "a", "index": 1}],
    "/wind/detect": [{"image": "iVBORw0KGgo="}],
}
ODD = [None, True, False, 0, -1, 1, 0.5, 1e308, -1e308, 2**31, 2**63, 2**64, 10**30, "", " ", "\0", "\ud800", "𐏿", "a" * 5000, "null", [], {}, [[]], [None],
       {"": ""}, "(" * 200, "(?i)" + "a?" * 50, "{{", "%s%n", "../../etc/passwd", [1] * 300, {"$ref": "#"}, {"type": "array", "items": {"$ref": "#"}}]


def odd(draw):
    return copy.deepcopy(draw.choice(ODD))


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def mutated(draw, body):
    body = json.loads(json.dumps(body))
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        path = draw.choice(list(places(body)))
        if not path:
            if draw.random() < 0.05:
                return odd(draw)
            if isinstance(body, dict):
                body[draw.choice(("n", "model", "stream", "max_tokens", "x"))] = odd(draw)
            continue
        holder = body
        for key in path[:-1]:
            holder = holder[key]
        key, kind = path[-1], draw.randrange(5)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, list):
            holder.extend([holder[key]] * draw.choice((1, 10, 1000)))
        elif kind == 2:
            for _ in range(draw.choice((1, 3, 150))):
                holder[key] = [holder[key]] if draw.random() < 0.5 else {"a": holder[key]}
        elif kind == 3 and isinstance(holder[key], str) and holder[key]:
            at = draw.randrange(len(holder[key]))
            holder[key] = holder[key][:at] + chr(draw.choice((0, 34, 92, 123, 0x202E, 0xD800, 0x1F600))) + holder[key][at:]
        else:
            holder[key] = odd(draw)
    return body


def bytes_of(draw, body):
    data = bytearray(json.dumps(mutated(draw, body), ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass"))
    if draw.random() < 0.4:
        for _ in range(draw.choice((1, 2, 8))):
            at = draw.randrange(len(data) + 1)
            kind = draw.randrange(4)
            if kind == 0 and at < len(data):
                data[at] = draw.randrange(256)
            elif kind == 1:
                del data[at:]
            elif kind == 2:
                data[at:at] = data[: draw.randrange(40)]
            else:
                data[at:at] = draw.choice((b"\\u", b"\\ud800", b"1e999", b"-", b",", b"}", b"\xff", b"[" * 300))
    return bytes(data)


def fault(answer, data):
    """What is wrong with an answer, or nothing."""
    if answer.status >= 500 and answer.status != 503:
        return f"status {answer.status}"
    if answer.status >= 400:
        try:
            error = json.loads(data)["error"]
            return None if error["message"] and "\n" not in error["message"] else "message of no or several lines"
        except (ValueError, KeyError, TypeError):
            return "a refusal that is not an error object"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    place = urllib.parse.urlparse(args.url)
    draw, end = random.Random(args.seed), time.monotonic() + args.seconds
    statuses, faults, slow, most = collections.Counter(), [], 0.0, 0
    connection = None
    while time.monotonic() < end:
        path = draw.choice(list(BODIES))
        data = bytes_of(draw, draw.choice(BODIES[path]))
        begun = time.monotonic()
        try:
            connection = connection or http.client.HTTPConnection(place.hostname, place.port, timeout=60)
            connection.request("POST", path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            wrong = fault(answer, answer.read())
            statuses[f"{path} {answer.status}"] += 1
            if answer.will_close:
                connection = None
        except (OSError, http.client.HTTPException) as error:
            wrong, connection = repr(error), None
        slow = max(slow, time.monotonic() - begun)
        if wrong:
            faults.append([wrong, path, data[:600].decode("utf-8", "replace")])
            print(json.dumps(faults[-1]), file=sys.stderr)
            if len(faults) == 50:
                break
        with open(f"/proc/{args.pid}/status") as file:
            most = max(most, next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmRSS")))
    print(json.dumps({"requests": sum(statuses.values()), "faults": len(faults), "slowest_s": round(slow, 2), "memory_mb_at_most": most, "statuses": dict(sorted(statuses.items()))}))
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
