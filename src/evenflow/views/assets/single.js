// A file of its own: the views of a run, of two side by side, or a network to be stepped by hand,
// beside its own text.

import { speak } from "./api.js";
import { showCompare } from "./compare.js";
import { el } from "./dom.js";
import { kept, unpack } from "./kept.js";
import { read } from "./route.js";
import { showRun } from "./run.js";
import { showStepping } from "./stepping.js";

async function begin() {
  const main = document.getElementById("views");
  await unpack();
  const names = Object.keys(kept.runs);
  await speak("");
  let { state } = read();
  if (names.length > 1) state = new URLSearchParams({ picture: state.get("picture") || "", a: names[0], b: names[1] });
  try {
    if (Object.keys(kept.nets).length) await showStepping(main, state);
    else if (names.length > 1) await showCompare(main, state);
    else await showRun(main, names[0], state);
  } catch (error) {
    main.replaceChildren(el("p", { class: "refusal", role: "alert" }, error.message));
  }
}

begin();
