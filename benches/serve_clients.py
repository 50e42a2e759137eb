"""OpenAI's own client (PyPI openai) against a running `orrery serve`: python serve_clients.py URL"""

import json
import sys

from openai import BadRequestError, NotFoundError, OpenAI

client = OpenAI(base_url=f"{sys.argv[1]}/v1", api_key="none", max_retries=0)
model = client.models.list().data[0].id
say = [{"role": "user", "content": "Name three colours."}]

whole = client.chat.completions.create(model=model, messages=say, seed=1, max_tokens=30, logprobs=True, top_logprobs=2)
assert whole.usage.completion_tokens > 0 and whole.choices[0].logprobs.content[0].top_logprobs
pieces = list(client.chat.completions.create(model=model, messages=say, seed=1, max_tokens=30, stream=True, stream_options={"include_usage": True}))
text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
assert text == whole.choices[0].message.content, (text, whole.choices[0].message.content)
assert pieces[-1].usage.total_tokens == whole.usage.total_tokens
print("stream equals whole:", text[:60].replace("\n", " "))

schema = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}, "warm": {"type": "boolean"}}, "required": ["name", "warm"], "additionalProperties": False}
fit = client.chat.completions.create(model=model, messages=say, max_tokens=80, seed=2, response_format={"type": "json_schema", "json_schema": {"name": "colour", "schema": schema, "strict": True}})
print("schema:", json.loads(fit.choices[0].message.content))

tool = {"type": "function", "function": {"name": "paint", "parameters": {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"], "additionalProperties": False}}}
call = client.chat.completions.create(model=model, messages=say, tools=[tool], tool_choice="required", seed=3).choices[0].message.tool_calls[0]
print("tool:", call.function.name, json.loads(call.function.arguments))

stream = client.chat.completions.create(model=model, messages=say, max_tokens=1000, stream=True, extra_body={"ignore_eos": True})
for _, piece in zip(range(5), stream):
    pass
stream.close()

for wrong, kind in [({"model": "nothing", "messages": say}, NotFoundError), ({"model": model, "messages": say, "temperature": -1}, BadRequestError)]:
    try:
        client.chat.completions.create(**wrong)
        raise SystemExit("no error")
    except kind as error:
        print("error:", error.code, str(error)[:80])

done = client.completions.create(model=model, prompt="Once upon a time", max_tokens=5, logprobs=2, echo=True)
assert done.choices[0].text.startswith("Once upon a time") and done.choices[0].logprobs.token_logprobs[0] is None
vector = client.embeddings.create(model=model, input=["one", "two"]).data[1].embedding
found = client.moderations.create(input="I love you").results[0]
picture = client.images.generate(prompt="fox", response_format="b64_json", size="256x256").data[0].b64_json
print("completion, vector of", len(vector), "moderation", found.flagged, "picture of", len(picture))
harp = client.chat.completions.create(model=model, messages=say, max_tokens=20, logprobs=True, extra_body={"harp": {"mask": "persistent"}})
print("hesitations:", sum(bool(token.model_extra.get("hesitated")) for token in harp.choices[0].logprobs.content))
