// OpenAI's own client (npm openai) against a running `orrery serve`: node serve_clients.mjs URL
import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: "none", maxRetries: 0 });
const model = (await client.models.list()).data[0].id;
const messages = [{ role: "user", content: "Name three colours." }];
const whole = await client.chat.completions.create({ model, messages, seed: 1, max_tokens: 30 });
let text = "";
for await (const piece of await client.chat.completions.create({ model, messages, seed: 1, max_tokens: 30, stream: true })) text += piece.choices[0]?.delta?.content ?? "";
if (text !== whole.choices[0].message.content) throw new Error(`${text} is not ${whole.choices[0].message.content}`);
const stop = new AbortController();
try {
  const stream = await client.chat.completions.create({ model, messages, max_tokens: 1000, stream: true, ignore_eos: true }, { signal: stop.signal });
  for await (const _ of stream) stop.abort();
} catch (error) {
  if (!stop.signal.aborted) throw error;
}
const wrong = await client.chat.completions.create({ model: "nothing", messages }).catch((error) => error);
if (wrong.status !== 404 || wrong.code !== "model_not_found") throw wrong;
console.log("npm openai: stream equals whole, cancel, error:", wrong.message.slice(0, 80));
