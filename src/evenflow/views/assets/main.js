// The way around: what the address says is what is shown, so that any view can be copied.

import { speak, spoken, words } from "./api.js";
import { el } from "./dom.js";
import { showCompare } from "./compare.js";
import { showCure } from "./cure.js";
import { showFit } from "./fit.js";
import { read } from "./route.js";
import { showRun } from "./run.js";
import { showRuns } from "./runs.js";
import { showStepping } from "./stepping.js";

const main = document.getElementById("main");
const where = document.getElementById("where");
const skip = document.querySelector(".skip");
const language = document.getElementById("language");
let leave = () => {};

async function show() {
  leave();
  leave = () => {};
  const { kind, name, state } = read();
  document.title = name ? `${name} · Evenflow` : "Evenflow";
  main.replaceChildren(el("p", { class: "quiet" }, words.reading || "…"));
  const views = { run: () => showRun(main, name, state), compare: () => showCompare(main, state), cure: () => showCure(main, name, state), fit: () => showFit(main, name), step: () => showStepping(main, state) };
  const shown = (views[kind] || (() => showRuns(main, state)))();
  try {
    await spoken();
    language.setAttribute("aria-label", words.language);
    skip.textContent = words.skip;
    where.setAttribute("aria-label", words.where);
    where.replaceChildren(el("a", { href: "#/" }, words.runs), " · ", el("a", { href: "#/step" }, words.by_hand), ...(name ? [" / ", el("span", {}, name)] : []));
    leave = await shown;
  } catch (error) {
    main.replaceChildren(el("p", { class: "refusal", role: "alert" }, error.message));
  }
}

const chosen = () => {
  try {
    return localStorage.getItem("evenflow-language") || "";
  } catch {
    return "";  // storage is switched off: the server's own language
  }
};

language.addEventListener("change", async () => {
  try {
    localStorage.setItem("evenflow-language", language.value);
  } catch { /* not kept */ }
  speak(language.value);
  show();
});
addEventListener("hashchange", show);
speak(chosen()).then((code) => { language.value = code; }, () => {});
show();
