// Mouse and keys on a picture: drag and wheel move and zoom, arrows walk from cell to cell.

import { say } from "./route.js";

export function listenToHand(picture) {
  const { canvas, heat, scroll } = picture;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return picture.heat.at(event.clientX - box.left, event.clientY - box.top);
  };
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    drag = { x: event.clientX, from: picture.from, to: picture.to, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drag && Math.abs(event.clientX - drag.x) > 3) {
      drag.moved = true;
      const by = ((drag.x - event.clientX) / canvas.clientWidth) * (drag.to - drag.from);
      picture.range(drag.from + by, drag.to + by);
    }
    picture.point(at(event), event);
  });
  canvas.addEventListener("pointerup", (event) => {
    const found = at(event);
    if (drag && !drag.moved && found) picture.enter(found.row);
    drag = null;
  });
  canvas.addEventListener("pointerleave", () => { picture.tip.hidden = true; });
  canvas.addEventListener("wheel", (event) => turned(picture, event), { passive: false });
  canvas.addEventListener("dblclick", () => picture.range(0, picture.run.all()));
  canvas.addEventListener("keydown", (event) => pressed(picture, event));
  scroll.addEventListener("scroll", () => {
    heat.top = scroll.scrollTop;
    heat.draw();
    picture.drawLabels();
  });
  picture.sized = new ResizeObserver(() => heat.draw());
  picture.sized.observe(canvas);
}

function turned(picture, event) {
  const zooms = event.ctrlKey || event.altKey;
  if (!zooms && Math.abs(event.deltaX) <= Math.abs(event.deltaY)) return;  // the page scrolls
  event.preventDefault();
  const box = picture.canvas.getBoundingClientRect(), by = (event.deltaX / box.width) * (picture.to - picture.from);
  if (zooms) picture.zoom(event.deltaY > 0 ? 1.25 : 0.8, (event.clientX - box.left) / box.width);
  else picture.range(picture.from + by, picture.to + by);
}

function pressed(picture, event) {
  const { heat, scroll, canvas } = picture, width = picture.to - picture.from;
  const spot = picture.spot ||= { row: 0, column: Math.floor((picture.from + picture.to) / 2) };
  const acts = {
    ArrowLeft: () => along(picture, -1, event.shiftKey),
    ArrowRight: () => along(picture, 1, event.shiftKey),
    ArrowUp: () => { spot.row -= 1; },
    ArrowDown: () => { spot.row += 1; },
    "+": () => picture.zoom(0.6), "-": () => picture.zoom(1 / 0.6),
    0: () => picture.range(0, picture.run.all()),
    Enter: () => picture.enter(heat.rows[spot.row]),
  };
  const act = acts[event.key] || acts[event.key === "=" ? "+" : ""];
  if (!act || !heat.grid) return;
  event.preventDefault();
  act();
  spot.row = Math.min(Math.max(spot.row, 0), heat.rows.length - 1);
  spot.column = Math.min(Math.max(spot.column, 0), picture.run.all() - 1);
  if (spot.column < picture.from || spot.column >= picture.to) picture.range(spot.column - width / 2, spot.column + width / 2);
  const y = spot.row * heat.height;
  if (y < scroll.scrollTop || y > scroll.scrollTop + canvas.clientHeight - heat.height) scroll.scrollTop = y - canvas.clientHeight / 2;
  const x = ((spot.column + 0.5 - picture.from) / (picture.to - picture.from)) * canvas.clientWidth;
  const found = heat.at(x, y + 1 - scroll.scrollTop);
  const box = canvas.getBoundingClientRect();
  picture.point(found, { clientX: box.left + x, clientY: box.top + y - scroll.scrollTop });
  if (found) say(picture.said(found));
}

// To the next sample, or a tenth of what is to be seen.
function along(picture, by, far) {
  const { steps } = picture.heat.grid, spot = picture.spot;
  if (far) spot.column += by * Math.ceil((picture.to - picture.from) / 10);
  else spot.column = steps[Math.min(Math.max(picture.heat.column(spot.column) + by, 0), steps.length - 1)];
}
