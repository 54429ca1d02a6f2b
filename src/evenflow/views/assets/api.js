// What the server is asked, and the words that it was told to speak in. A report asks itself.

import { kept, keptAnswer, keptGrid } from "./kept.js";

export const words = {};
let lang = "", told = Promise.resolve();

export function address(path, asked = {}) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries({ ...asked, lang })) {
    if (value !== "" && value !== null && value !== undefined) query.set(key, value);
  }
  return `api/${path}?${query}`;
}

const quoted = (name) => name.split("/").map(encodeURIComponent).join("/");
export const runPath = (name, what) => `run/${quoted(name)}/${what}`;

async function answer(path, asked, signal) {
  const response = await fetch(address(path, asked), { signal });
  if (response.ok) return response;
  let why = `${response.status}`;
  try {
    why = (await response.json()).error || why;
  } catch { /* no JSON: the status must do */ }
  throw new Error(why);
}

export async function ask(path, asked = {}, signal = undefined) {
  return (await answer(path, asked, signal)).json();
}

// All that is known of a cure or of a model.
export const askRecord = (kind, name) => ask(`${kind}/${quoted(name)}`);

// One thing that is known of a run.
export async function askRun(name, what, asked = {}, signal = undefined) {
  if (kept.on) return keptAnswer(name, what, asked, (picture) => askGrid(name, { picture }));
  return ask(runPath(name, what), asked, signal);
}

// Header and planes of a picture, as `answers.grid` writes them.
export async function askGrid(name, asked, signal) {
  const bytes = kept.on ? await keptGrid(name, asked.picture) : await (await answer(runPath(name, "grid"), asked, signal)).arrayBuffer();
  const length = new DataView(bytes).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  const size = head.rows.length * head.columns;
  const planes = [];
  for (let at = 4 + length; at + size <= bytes.byteLength && size; at += size) {
    planes.push(new Uint8Array(bytes, at, size));
  }
  return { ...head, least: planes[0] || new Uint8Array(0), largest: planes[1] || planes[0] || new Uint8Array(0), worst: head.least };
}

export const follow = (name, asked) => (kept.on ? null : new EventSource(address(runPath(name, "live"), asked)));

// The language that is asked for from now on.
export function speak(code) {
  lang = code || "";
  told = (async () => {
    Object.assign(words, kept.on ? kept.words : await ask("words"));
    document.documentElement.lang = words.code === "zh" ? "zh-Hans" : words.code;
    return words.code;
  })();
  return told;
}

// To be awaited before a word is shown: what is to be seen can be asked for meanwhile.
export const spoken = () => told;
