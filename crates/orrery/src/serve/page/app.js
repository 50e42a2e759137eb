// The page of `orrery serve`: no framework, no network but this server.

import { WORDS } from "/words.js";

const $ = (id) => document.getElementById(id);
const make = (tag, fields = {}, ...children) => {
  const { data, ...rest } = fields;
  const node = Object.assign(document.createElement(tag), rest);
  for (const [name, value] of Object.entries(data ?? {})) node.setAttribute(name, value);
  node.append(...children.filter((child) => child != null));
  return node;
};
const kept = {
  get(key, usual) { try { return JSON.parse(localStorage.getItem(`orrery.${key}`)) ?? usual; } catch { return usual; } },
  set(key, value) { try { localStorage.setItem(`orrery.${key}`, JSON.stringify(value)); return true; } catch { return false; } },
};

/* ---------- Words ---------- */

let tongue = kept.get("language", (navigator.language || "en").startsWith("ko") ? "ko" : "en");
const t = (key) => WORDS[tongue][key] ?? WORDS.en[key] ?? key;

function speak() {
  document.documentElement.lang = tongue;
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-l]")) node.setAttribute("aria-label", t(node.dataset.l));
  for (const node of document.querySelectorAll("[data-p]")) node.placeholder = t(node.dataset.p);
  const other = $("language");
  other.textContent = tongue === "ko" ? "English" : "한국어";
  other.lang = tongue === "ko" ? "en" : "ko";
  other.title = tongue === "ko" ? "Show in English" : "한국어로 보기";
  fillConcepts();
  showChats();
  showChat();
  showCards();
}

/* ---------- The server ---------- */

let key = sessionStorage.getItem("orrery.key") ?? "";

async function ask(path, body, signal) {
  const headers = body ? { "Content-Type": "application/json" } : {};
  if (key) headers.Authorization = `Bearer ${key}`;
  let answer;
  try {
    answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Error(t("gone"));
  }
  if (answer.ok) return answer;
  if (answer.status === 401) $("key-box").hidden = false;
  const said = await answer.json().catch(() => null);
  throw new Error(said?.error?.message ?? `${answer.status} ${answer.statusText}`);
}

/** Objects of a stream of server-sent events. */
async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const lines = rest.split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data: ")) continue;
      const data = line.slice(6);
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }
}

/* ---------- Places ---------- */

const VIEWS = ["chat", "pictures", "documents", "systems"];

function go() {
  const asked = location.hash.slice(1);
  const here = VIEWS.includes(asked) ? asked : "chat";
  for (const name of VIEWS) {
    $(`view-${name}`).hidden = name !== here;
    const tab = document.querySelector(`.tabs a[href="#${name}"]`);
    if (name === here) tab.setAttribute("aria-current", "page"); else tab.removeAttribute("aria-current");
  }
  hidePeek();
  document.title = here === "chat" ? "Orrery" : `${t(here)} · Orrery`;
}

/* ---------- Conversations ---------- */

let chats = kept.get("chats", []);
let here = kept.get("here", null);
let running = null;
let models = null;

const current = () => chats.find((chat) => chat.id === here);

function keepChats() {
  while (!kept.set("chats", chats.slice(0, 60)) && chats.length > 1) {
    chats.pop();
    $("under").textContent = t("full");
  }
  kept.set("here", here);
}

function showChats() {
  const list = $("chats");
  list.replaceChildren(...chats.map((chat) => make("li", { className: chat.id === here ? "here" : "" },
    make("button", { type: "button", textContent: chat.title, data: chat.id === here ? { "aria-current": "true" } : {}, onclick: () => open(chat.id) }),
    make("button", { type: "button", className: "drop-it", textContent: "×", data: { "aria-label": `${t("remove")}: ${chat.title}` }, onclick: () => remove(chat.id) }))));
}

function open(id) {
  running?.abort();
  here = id;
  keepChats();
  showChats();
  showChat();
  $("say").focus();
}

function remove(id) {
  chats = chats.filter((chat) => chat.id !== id);
  if (here === id) { running?.abort(); here = null; }
  keepChats();
  showChats();
  showChat();
}

/** Steps of doubt, from bits: a sure word has none, a free one seven. */
const STEPS = [0.7, 1.5, 2.4, 3.4, 4.5, 5.7, 7];
const step = (bits) => (bits == null ? 0 : STEPS.filter((least) => bits >= least).length);

/** A token; the space before it stays without colour. */
function word(token) {
  const [text, bits, twice] = token;
  const bare = text.trimStart();
  const node = make("i", { textContent: bare || text, className: `h${step(bits)}${twice ? " twice" : ""}` });
  return bare ? [text.slice(0, text.length - bare.length), node] : [node];
}

const MARKS = { good: "M9 16.2 4.8 12l-1.4 1.4L9 19 21 7l-1.4-1.4z", bad: "M12 2 1 21h22zm1 16h-2v-2h2zm0-4h-2v-4h2z" };
function mark(kind) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", MARKS[kind]);
  svg.append(path);
  return svg;
}

function verdict(message) {
  const found = message.guard;
  if (found === undefined) return null;
  if (found === "wait") return make("span", { className: "verdict wait", textContent: t("checking") });
  if (found === null) return make("span", { className: "verdict wait", textContent: t("noVerdict") });
  const percent = `${(100 * found.probability).toFixed(found.probability < 0.095 ? 1 : 0)} %`;
  return make("span", { className: found.flagged ? "verdict bad" : "verdict", title: found.model },
    mark(found.flagged ? "bad" : "good"), `${found.flagged ? t("risk") : t("safe")} · ${percent}`);
}

function stats({ count, seconds, doubts }) {
  const speed = `${count} ${t("tokens")}, ${(count / Math.max(seconds, 0.001)).toFixed(0)} ${t("perSecond")}`;
  return doubts ? `${speed}, ${doubts} ${t("hesitated")}` : speed;
}

function showMessage(message, chat) {
  const mine = message.role === "user";
  const who = make("div", { className: "who" }, make("b", { textContent: mine ? t("you") : t("assistant") }), verdict(message));
  if (!mine && message.lean) who.append(make("span", { textContent: message.lean }));
  if (!mine && message.stats) who.append(make("span", { textContent: stats(message.stats) }));
  const said = make("div", { className: "said" });
  if (message.tokens?.length) {
    said.append(...message.tokens.flatMap(word));
    if ($("colour").checked) said.classList.add("coloured");
    said.tabIndex = 0;
    said.setAttribute("role", "group");
    said.setAttribute("aria-label", message.content);
    inspect(said, message);
  } else {
    said.textContent = message.content;
  }
  if (message.live) said.classList.add("live");
  const acts = make("div", { className: "acts" });
  if (!message.live) {
    if (message.content) acts.append(make("button", { type: "button", textContent: t("copy"), onclick: (event) => copy(event.currentTarget, message.content) }));
    const last = chat.messages.at(-1) === message;
    if (!mine && last) acts.append(make("button", { type: "button", textContent: t("again"), onclick: () => { chat.messages.pop(); answer(chat); } }));
  }
  const node = make("article", { className: `message ${message.role}` }, who, message.content || message.live ? said : null);
  if (message.error) node.append(make("p", { className: "wrong", textContent: message.error, data: { role: "alert" } }));
  node.append(acts);
  message.node = node;
  return node;
}

function refresh(message, chat) {
  const before = message.node;
  if (before?.isConnected) before.replaceWith(showMessage(message, chat));
}

async function copy(button, text) {
  await navigator.clipboard?.writeText(text).catch(() => {});
  button.textContent = t("copied");
  setTimeout(() => { button.textContent = t("copy"); }, 1500);
}

function showChat() {
  const chat = current();
  const box = $("messages");
  if (chat?.messages.length) {
    box.replaceChildren(...chat.messages.map((message) => showMessage(message, chat)));
    box.scrollTop = box.scrollHeight;
    return;
  }
  const orbits = document.querySelector(".brand .orbits").cloneNode(true);
  if (models && !models.length) {
    box.replaceChildren(make("div", { className: "hello" }, orbits, make("h2", { textContent: t("noModel") }),
      make("p", { className: "lead", textContent: t("noModelNote") }), make("code", { textContent: "orrery pull smollm2 && orrery serve" })));
    return;
  }
  box.replaceChildren(make("div", { className: "hello" }, orbits, make("h2", { textContent: t("hello") }),
    make("p", { className: "lead", textContent: t("helloNote") }),
    make("div", { className: "starts" }, ...t("starts").map((text) => make("button", { type: "button", textContent: text, onclick: () => say(text) })))));
}

/* What else a token might have been: under the pointer, or with the arrow keys. */
function inspect(said, message) {
  const at = (node) => (node instanceof HTMLElement && node.parentElement === said && node.tagName === "I" ? [...said.children].indexOf(node) : -1);
  const show = (index) => {
    said.querySelector(".at")?.classList.remove("at");
    const token = message.tokens[index];
    if (!token) return hidePeek();
    const node = said.children[index];
    peek(node, token);
  };
  said.onpointerover = (event) => { const index = at(event.target); if (index >= 0) show(index); };
  said.onpointerleave = hidePeek;
  said.onblur = () => { said.querySelector(".at")?.classList.remove("at"); hidePeek(); };
  let place = -1;
  said.onkeydown = (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") { place = -1; said.querySelector(".at")?.classList.remove("at"); return hidePeek(); }
    if (!move) return;
    event.preventDefault();
    place = Math.max(0, Math.min(message.tokens.length - 1, place + move));
    show(place);
    said.children[place].classList.add("at");
    const [text, bits] = message.tokens[place];
    $("announce").textContent = `${text}: ${(bits ?? 0).toFixed(1)} ${t("bits")}`;
  };
}

function peek(node, [text, bits, twice, others]) {
  const box = $("peek");
  const rows = (others ?? []).map(([other, chance]) => make("div", { className: other === text ? "row taken" : "row" },
    make("code", { textContent: other.replaceAll("\n", "⏎").replaceAll(" ", "·") }),
    make("meter", { min: 0, max: 1, value: chance }), make("span", { textContent: `${Math.round(100 * chance)} %` })));
  box.replaceChildren(make("div", { className: "head", textContent: `${(bits ?? 0).toFixed(1)} ${t("bits")}${twice ? `, ${t("looked")}` : ""}` }), ...rows);
  box.hidden = false;
  const place = node.getBoundingClientRect();
  const size = box.getBoundingClientRect();
  box.style.left = `${Math.max(8, Math.min(innerWidth - size.width - 8, place.left))}px`;
  const below = place.bottom + 8 + size.height < innerHeight;
  box.style.top = `${below ? place.bottom + 8 : place.top - size.height - 8}px`;
}

function hidePeek() { $("peek").hidden = true; }

/* ---------- Asking ---------- */

// Ends of the slider: words of our own.
const CONCEPTS = [
  { en: ["city", "nature"], ko: ["도시", "자연"],
    left: ["city", "street", "building", "traffic", "office", "tower", "train"], right: ["forest", "river", "tree", "flower", "mountain", "bird", "sea"] },
  { en: ["gloomy", "cheerful"], ko: ["우울하게", "밝게"],
    left: ["sad", "dark", "lonely", "cold", "grief", "pain", "loss"], right: ["happy", "joy", "bright", "warm", "love", "smile", "fun"] },
  { en: ["past", "future"], ko: ["옛날", "앞날"],
    left: ["ancient", "old", "history", "king", "castle", "war", "tradition"], right: ["future", "robot", "technology", "space", "computer", "science", "new"] },
  { en: ["calm", "adventure"], ko: ["고요", "모험"],
    left: ["calm", "peace", "quiet", "rest", "sleep", "gentle", "soft"], right: ["adventure", "danger", "fight", "run", "storm", "fire", "wild"] },
];

function fillConcepts() {
  const box = $("concept");
  const chosen = box.value || "0";
  box.replaceChildren(...CONCEPTS.map((one, index) => make("option", { value: index, textContent: one[tongue].join(" ↔ ") })));
  box.value = chosen;
  showLean();
}

function showLean() {
  const concept = CONCEPTS[$("concept").value];
  const value = Number($("lean").value);
  $("end-left").textContent = concept[tongue][0];
  $("end-right").textContent = concept[tongue][1];
  $("lean-value").textContent = value === 0 ? "0" : `${Math.abs(value)} %`;
  $("lean").setAttribute("aria-valuetext", value === 0 ? "0" : `${concept[tongue][value > 0 ? 1 : 0]} ${Math.abs(value)} %`);
  $("lean-note").textContent = value === 0 ? t("leanOff") : t("leanNote");
  $("twice").disabled = value !== 0;
  $("warmth").disabled = value !== 0;
}

/** The request's own objects. */
function extras() {
  const lean = Number($("lean").value);
  if (lean !== 0) {
    const { left, right } = CONCEPTS[$("concept").value];
    const [towards, away] = lean > 0 ? [right, left] : [left, right];
    return { guide: { towards, away, k: 5, weight: LEAN * Math.abs(lean) / 100 } };
  }
  return $("twice").checked ? { harp: { mask: "persistent" } } : {};
}
const LEAN = 1.2;

function say(text) {
  text = text.trim();
  if (!text || running) return;
  let chat = current();
  if (!chat) {
    chat = { id: crypto.randomUUID?.() ?? String(Date.now()), title: text.slice(0, 48), messages: [] };
    chats.unshift(chat);
    here = chat.id;
  }
  const message = { role: "user", content: text };
  chat.messages.push(message);
  showChats();
  assess(message, chat);
  answer(chat);
}

async function answer(chat) {
  const message = { role: "assistant", content: "", tokens: [], live: true };
  const lean = Number($("lean").value);
  if (lean !== 0) message.lean = `→ ${CONCEPTS[$("concept").value][tongue][lean > 0 ? 1 : 0]} ${Math.abs(lean)} %`;
  const messages = chat.messages.map(({ role, content }) => ({ role, content }));
  chat.messages.push(message);
  showChat();
  running = new AbortController();
  $("send").hidden = true;
  $("stop").hidden = false;
  const begun = performance.now();
  let doubts = 0;
  try {
    const reply = await ask("/v1/chat/completions", {
      model: $("model").value || undefined, messages, stream: true, logprobs: true, top_logprobs: 5,
      temperature: Number($("warmth").value), top_p: 0.9, max_tokens: Number($("length").value) || 400, repetition_penalty: 1.1, ...extras(),
    }, running.signal);
    const said = message.node.querySelector(".said");
    for await (const piece of events(reply)) {
      if (piece.error) throw new Error(piece.error.message);
      const choice = piece.choices?.[0];
      if (!choice) continue;
      const text = choice.delta?.content ?? "";
      message.content += text;
      const log = choice.logprobs?.content?.[0];
      if (log || text) {
        const token = [text, log?.entropy, log?.hesitated, log?.top_logprobs.map((one) => [one.token, Math.exp(one.logprob)])];
        doubts += log?.hesitated ? 1 : 0;
        message.tokens.push(token);
        const box = $("messages");
        const low = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
        said.append(...word(token));
        if ($("colour").checked) said.classList.add("coloured");
        if (low) box.scrollTop = box.scrollHeight;
      }
    }
    const seconds = (performance.now() - begun) / 1000;
    message.stats = { count: message.tokens.length, seconds, doubts };
    $("announce").textContent = `${t("answered")} ${message.content}`;
  } catch (error) {
    if (error.name !== "AbortError") message.error = error.message;
  }
  running = null;
  delete message.live;
  $("send").hidden = false;
  $("stop").hidden = true;
  refresh(message, chat);
  save();
  if (message.content) assess(message, chat);
}

async function assess(message, chat) {
  if (!$("guarded").checked) return;
  message.guard = "wait";
  refresh(message, chat);
  const index = chat.messages.indexOf(message);
  const question = message.role === "user" ? message : chat.messages.slice(0, index).findLast((one) => one.role === "user");
  const body = message.role === "user" ? { prompt: message.content } : { prompt: question?.content, response: message.content };
  try {
    const found = await (await ask("/v1/guardian/check", { ...body, risks: ["harm"] })).json();
    message.guard = { ...found.assessments[0], model: found.model };
  } catch {
    message.guard = null;
  }
  if (!message.live) refresh(message, chat);
  save();
}

/** What is kept leaves out nodes, and alternatives of older answers. */
function save() {
  const plain = chats.map((chat) => ({ ...chat, messages: chat.messages.map(({ node, live, ...rest }) => ({ ...rest, guard: rest.guard === "wait" ? undefined : rest.guard,
    tokens: rest.tokens?.map(([text, bits, twice, others]) => [text, bits == null ? bits : Math.round(bits * 100) / 100, twice,
      chat.id === here ? others?.map(([word, chance]) => [word, Math.round(chance * 1000) / 1000]) : undefined]) })) }));
  const before = chats;
  chats = plain;
  keepChats();
  chats = before;
}

/* ---------- Pictures ---------- */

function showPicture(made, waiting) {
  const item = make("li");
  if (waiting) {
    item.append(make("div", { className: "wait" }, document.querySelector(".brand .orbits").cloneNode(true)));
    item.append(make("p", { className: "text", textContent: waiting }));
    return item;
  }
  const address = `data:image/png;base64,${made.b64_json}`;
  const name = `${made.revised_prompt}, ${t("seed")} ${made.seed}`;
  item.append(make("img", { src: address, alt: name }), make("p", { className: "text" }, made.revised_prompt, make("small", { textContent: `${t("seed")} ${made.seed}` })),
    make("div", { className: "acts" },
      make("button", { type: "button", textContent: t("again"), data: { "aria-label": `${t("again")}: ${name}` }, onclick: () => draw({ ...made.order, seed: made.seed, n: 1 }) }),
      make("button", { type: "button", textContent: t("newSeed"), data: { "aria-label": `${t("newSeed")}: ${made.revised_prompt}` }, onclick: () => draw({ ...made.order, seed: undefined, n: 1 }) }),
      make("a", { href: address, download: `${made.revised_prompt.replace(/\W+/g, "-")}-${made.seed}.png`, textContent: t("download") })));
  return item;
}

async function draw(order) {
  const places = Array.from({ length: order.n }, () => showPicture(null, `${order.prompt} · ${t("drawing")}`));
  $("gallery").prepend(...places);
  const note = $("draw-note");
  note.className = "note";
  note.textContent = t("drawing");
  try {
    const seed = order.seed ?? Math.floor(Math.random() * 1e6);
    const notes = new Set();
    for (let at = 0; at < order.n; at += 1) {
      const made = await (await ask("/v1/images/generations", { ...order, n: 1, seed: seed + at, size: "256x256" })).json();
      places[at].replaceWith(showPicture({ ...made.data[0], order }));
      made.warnings.forEach((line) => notes.add(line));
    }
    note.textContent = notes.size ? [...notes].join(" · ") : `${order.n} ${t("drawn")}`;
  } catch (error) {
    places.forEach((place) => place.remove());
    note.className = "note bad";
    note.textContent = error.message;
  }
}

/* ---------- Documents ---------- */

const papers = { truth: null, guess: null };
const EXAMPLE = {
  truth: "# Tides\n\nThe sea rises and falls twice a day, because the moon pulls at it.\n\n| Place | Range |\n| --- | --- |\n| Incheon | 8.1 m |\n| Busan | 1.2 m |\n\n$$ F = G \\frac{m_1 m_2}{r^2} $$\n",
  guess: "# Tides\n\nThe sea rises and fa1ls twice a day, because the moon puIls at it.\n\n| Place | Range |\n| --- | --- |\n| Incheon | 8.7 m |\n| Busan | 1.2 m |\n\n$$ F = G \\frac{m_1 m_2}{r^3} $$\n",
};

function paper(which, name, text) {
  papers[which] = { name, text };
  $(`name-${which}`).textContent = name;
}

function takeFiles(which) {
  const drop = $(`drop-${which}`);
  const take = async (files) => { const file = files[0]; if (file) paper(which, file.name, await file.text()); };
  $(`file-${which}`).onchange = (event) => take(event.target.files);
  drop.ondragover = (event) => { event.preventDefault(); drop.classList.add("over"); };
  drop.ondragleave = () => drop.classList.remove("over");
  drop.ondrop = (event) => { event.preventDefault(); drop.classList.remove("over"); take(event.dataTransfer.files); };
}

const PARTS = { text_block: "text", display_formula: "formula", table: "table", reading_order: "order" };
const LOW = new Set(["Edit_dist"]);

async function judge() {
  const note = $("judge-note");
  note.className = "note";
  if (!papers.truth || !papers.guess) { note.className = "note bad"; note.textContent = t("needBoth"); return; }
  note.textContent = t("judging");
  $("scores").replaceChildren();
  try {
    const page = { prediction: papers.guess.text };
    if (papers.truth.name.endsWith(".json")) page.page = JSON.parse(papers.truth.text); else page.markdown = papers.truth.text;
    const found = await (await ask("/v1/judge/omnidocbench", { pages: [page], cdm: $("cdm").checked })).json();
    const rows = [];
    for (const [part, result] of Object.entries(found.scores)) {
      for (const [measure, values] of Object.entries(result.all ?? {})) {
        const raw = typeof values === "object" && values ? values.ALL_page_avg ?? values.all ?? Object.values(values)[0] : values;
        const value = Number.parseFloat(raw);
        const low = LOW.has(measure);
        const good = low ? 1 - value : value;
        rows.push(make("tr", {}, make("th", { scope: "row", textContent: t(PARTS[part] ?? part) }), make("td", { textContent: measure.replace("Edit_dist", "edit distance").replaceAll("_", " ") }),
          make("td", { className: "score", textContent: Number.isFinite(value) ? value.toFixed(3) : t("none") }),
          make("td", {}, Number.isFinite(value) ? make("meter", { min: 0, max: 1, value: good, data: { "aria-label": `${good.toFixed(2)}` } }) : ""),
          make("td", { textContent: low ? t("low") : t("high") })));
      }
    }
    $("scores").replaceChildren(make("table", {}, make("caption", { textContent: t("scores") }),
      make("thead", {}, make("tr", {}, ...["part", "measure", "score"].map((key) => make("th", { scope: "col", textContent: t(key) })),
        make("td", {}), make("th", { scope: "col", textContent: t("better") }))), make("tbody", {}, ...rows)));
    note.textContent = "";
  } catch (error) {
    note.className = "note bad";
    note.textContent = error.message;
  }
}

/* ---------- Systems ---------- */

let cards = [];

function showCards() {
  const wanted = $("find").value.trim().toLowerCase();
  const fits = (card) => !wanted || JSON.stringify([card.slug, card.domain, card.en, card.ko]).toLowerCase().includes(wanted);
  const shown = cards.filter(fits);
  $("found").textContent = cards.length ? t("found")(shown.length) : "";
  const list = (lines) => make("ul", {}, ...lines.map((line) => make("li", {}, line)));
  const pair = (term, value) => [make("dt", { textContent: t(term) }), make("dd", {}, value)];
  const found = ({ statement, verdict, evidence }) => make("span", {}, make("b", { textContent: t(verdict) }), ` ${statement}`, make("small", { textContent: evidence }));
  $("cards").replaceChildren(...shown.map((card) => {
    const told = card[tongue];
    return make("li", {},
      make("div", { className: "head" }, make("h2", { textContent: card.slug }), make("span", { className: `state ${card.status}`, textContent: t(card.status) })),
      make("p", { className: "purpose", textContent: told.purpose }),
      make("p", { className: "fine", textContent: `${told.title} · ${card.paper}` }),
      make("details", {}, make("summary", { textContent: t("more"), data: { "aria-label": `${t("more")}: ${card.slug}` } }), make("dl", {},
        ...pair("isNew", told.new), ...pair("details", list(told.details)), ...pair("claims", list(told.claims)),
        ...(card.measured.length ? pair("measured", list(card.measured.map(found))) : []),
        ...pair("weights", card.weights), ...pair("licence", card.licence))));
  }));
}

/* ---------- Beginning ---------- */

function theme() {
  const chosen = kept.get("theme", "auto");
  document.documentElement.dataset.theme = chosen;
}

async function begin() {
  theme();
  $("theme").onclick = () => {
    const now = document.documentElement.dataset.theme;
    const dark = now === "dark" || (now === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    kept.set("theme", dark ? "light" : "dark");
    theme();
  };
  $("language").onclick = () => { tongue = tongue === "ko" ? "en" : "ko"; kept.set("language", tongue); speak(); go(); };
  $("composer").onsubmit = (event) => { event.preventDefault(); const box = $("say"); if (!running) { say(box.value); box.value = ""; grow(); } };
  const grow = () => { const box = $("say"); box.style.height = "auto"; box.style.height = `${box.scrollHeight}px`; };
  $("say").oninput = grow;
  $("say").onkeydown = (event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); $("composer").requestSubmit(); } };
  $("knobs").onsubmit = (event) => event.preventDefault();
  $("stop").onclick = () => running?.abort();
  addEventListener("keydown", (event) => { if (event.key === "Escape") { running?.abort(); hidePeek(); } });
  $("new-chat").onclick = () => open(null);
  $("colour").onchange = () => { for (const said of document.querySelectorAll(".assistant .said")) said.classList.toggle("coloured", $("colour").checked); };
  $("concept").onchange = showLean;
  $("lean").oninput = showLean;
  $("warmth").oninput = () => { $("warmth-value").textContent = $("warmth").value; };
  $("fold").onclick = () => { const open = document.querySelector(".knobs").classList.toggle("open"); $("fold").setAttribute("aria-expanded", open); };
  $("messages").onscroll = hidePeek;
  $("key").onchange = () => { key = $("key").value; sessionStorage.setItem("orrery.key", key); load(); };
  $("draw").onsubmit = (event) => {
    event.preventDefault();
    const seed = $("seed").value;
    const moving = $("moving").checked;
    draw({ prompt: $("subject").value, style: $("style").value, n: moving ? 1 : Number($("count").value), seed: seed === "" ? undefined : Number(seed), video: moving || undefined });
  };
  takeFiles("truth");
  takeFiles("guess");
  $("judge").onclick = judge;
  $("example").onclick = () => { paper("truth", "tides.md", EXAMPLE.truth); paper("guess", "tides.parsed.md", EXAMPLE.guess); judge(); };
  $("find").oninput = showCards;
  addEventListener("hashchange", () => { go(); $("main").focus(); });
  speak();
  go();
  await load();
}

async function load() {
  try {
    const [list, systems] = await Promise.all(["/v1/models", "/v1/systems"].map(async (path) => (await ask(path)).json()));
    models = list.data;
    cards = systems.data;
    $("model").replaceChildren(...models.map((model) => make("option", { value: model.id, textContent: model.id })));
    $("key-box").hidden = !key;
    $("under").textContent = "";
    $("under").className = "fine under";
    showCards();
    if (!current()?.messages.length) showChat();
  } catch (error) {
    $("under").textContent = error.message;
    $("under").className = "fine under bad";
  }
}

begin();
