// A report of one file: the views of a run, or of two side by side, beside its own text.

import { speak } from "./api.js";
import { showCompare } from "./compare.js";
import { el } from "./dom.js";
import { kept, unpack } from "./kept.js";
import { read } from "./route.js";
import { showRun } from "./run.js";

async function begin() {
  const main = document.getElementById("views");
  await unpack();
  const names = Object.keys(kept.runs);
  await speak("");
  let { state } = read();
  if (names.length > 1) state = new URLSearchParams({ picture: state.get("picture") || "", a: names[0], b: names[1] });
  try {
    if (names.length > 1) await showCompare(main, state);
    else await showRun(main, names[0], state);
  } catch (error) {
    main.replaceChildren(el("p", { class: "refusal", role: "alert" }, error.message));
  }
}

begin();
