"""llama.cpp's side of `orrery bench --suite language`: runs what each JSON line asks for and answers with seconds.

    python3 -m venv peers && peers/bin/pip install xllamacpp gguf
    orrery bench --suite language --model smollm2.gguf --peer peers/bin/python

A line is {"work": "generate", "prompts": [[ids], ...], "tokens": n}, greedy, without its prompt cache; the answer is
{"prefill_s": ..., "decode_s": ...}. {"work": "start"} asks for the seconds from opening the file to the first token,
{"work": "agree", "message": text, "ids": [...], "tokens": n} for the rendered chat of one message, its token ids, and the n
greedy tokens after the given ones: `tokens` by the file as it is, `wide` by a copy of it with all weights in f32, for which
llama.cpp does not round activations to 8 bits, and without flash attention, which sums in f16.
"""

import json
import os
import sys
import tempfile
import threading
import time
import urllib.request

threads, model = int(sys.argv[1]), sys.argv[2]
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import xllamacpp as xl  # noqa: E402


def server(parallel, path=model):
    params = xl.CommonParams()
    params.model.path = path
    params.n_gpu_layers = 0
    params.n_ctx = 2048 * parallel
    params.n_parallel = parallel
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.warmup = False
    params.verbosity = -1
    params.cache_ram_mib = 0
    if path != model:
        params.flash_attn_type = xl.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.cache_type_k = params.cache_type_v = xl.ggml_type.GGML_TYPE_F32
    return xl.Server(params)


def widened(path):
    """The model with all weights in f32."""
    import gguf

    reader = gguf.GGUFReader(model)
    writer = gguf.GGUFWriter(path, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if field.name != "general.architecture" and not field.name.startswith("GGUF."):
            kind = field.types[0]
            sub = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), kind, sub_type=sub)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def complete(engine, prompt, tokens):
    result = engine.handle_completions({
        "prompt": prompt, "n_predict": tokens, "temperature": 0, "ignore_eos": True,
        "cache_prompt": False,
    })
    result = json.loads(result) if isinstance(result, str) else result
    if "timings" not in result:
        raise RuntimeError(str(result)[:200])
    return result


def post(engine, path, body):
    ask = urllib.request.Request(
        engine.listening_address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    return json.load(urllib.request.urlopen(ask))


def agree(engine, wide, ask):
    messages = [{"role": "user", "content": ask["message"]}]
    prompt = post(engine, "/apply-template", {"messages": messages})["prompt"]
    text = {"content": prompt, "add_special": True, "parse_special": True}
    tokens = [post(one, "/completion", {
        "prompt": ask["ids"], "n_predict": ask["tokens"], "temperature": 0, "top_k": 1,
        "cache_prompt": False, "return_tokens": True,
    })["tokens"] for one in (engine, wide)]
    ids = post(engine, "/tokenize", text)["tokens"]
    return {"prompt": prompt, "ids": ids, "tokens": tokens[0], "wide": tokens[1]}


engines = {}


def run(ask):
    if ask["work"] == "start":
        begin = time.perf_counter()
        complete(server(1), ask["prompts"][0], 1)
        return {"prefill_s": time.perf_counter() - begin, "decode_s": 0}
    if ask["work"] == "agree":
        if "wide" not in engines:
            with tempfile.TemporaryDirectory() as folder:
                engines["wide"] = server(1, widened(folder + "/wide.gguf"))
            engines[1] = engines.get(1) or server(1)
        return agree(engines[1], engines["wide"], ask)
    prompts = ask["prompts"]
    parallel = len(prompts)
    if parallel not in engines:
        engines[parallel] = server(parallel)
        complete(engines[parallel], prompts[0], 2)
    results = [None] * parallel

    def one(i):
        results[i] = complete(engines[parallel], prompts[i], ask["tokens"])

    begin = time.perf_counter()
    if parallel == 1:
        one(0)
    else:
        workers = [threading.Thread(target=one, args=(i,)) for i in range(parallel)]
        [worker.start() for worker in workers]
        [worker.join() for worker in workers]
    wall = time.perf_counter() - begin
    timings = [result["timings"] for result in results]
    if parallel == 1:
        prefill, decode = timings[0]["prompt_ms"] / 1e3, timings[0]["predicted_ms"] / 1e3
    else:
        prefill, decode = 0, wall
    return {"prefill_s": prefill, "decode_s": decode}


def answer(value):
    answers.write(json.dumps(value) + "\n")
    answers.flush()


answer({"version": "llama.cpp (xllamacpp " + xl.__version__ + ")"})
for line in sys.stdin:
    try:
        answer(run(json.loads(line)))
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}"})
