// Shows one Picture: before and after with a slider, the matte, and the tools that draw on it.

import { $, passFocus, radios } from "./dom.js";
import { compose } from "./compose.js";
import { drawLine } from "./strokes.js";

const VIEWS = [["compare", "Compare"], ["result", "Result"], ["matte", "Matte"], ["original", "Original"]];
const TOOLS = [["look", "Look"], ["keep", "This too"], ["drop", "Not that"], ["region", "Region"]];
const MARK = { keep: "rgba(40, 200, 120, .55)", drop: "rgba(235, 70, 70, .55)" };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Viewer extends EventTarget {
  /** background: a function that gives the background that is chosen. */
  constructor(background) {
    super();
    this.background = background;
    this.item = null;
    this.picture = null;
    this.pending = 0;
    this.pointer = null;  // the keyboard's, in pixels of the picture
    this.drawing = null;  // the stroke or region under way
    this.views = radios($("views"), "view", VIEWS, "compare", () => this.arrange());
    this.tools = radios($("tools"), "tool", TOOLS, "look", () => this.arrange());
    $("split").addEventListener("input", () => this.moveSplit());
    this.listen();
    this.moveSplit();
  }

  /** Show a picture with the strokes and region of its item; null shows the frame empty. */
  show(item, picture) {
    this.item = item;
    this.picture = picture;
    this.pointer = null;
    this.drawing = null;
    $("frame").classList.toggle("ready", picture !== null);
    $("region").disabled = picture === null;
    if (!picture) return this.empty();
    $("frame").style.setProperty("--ratio", `${picture.width} / ${picture.height}`);
    $("frame").style.setProperty("--wide", picture.width / picture.height);
    const readable = picture.original !== null;
    for (const view of ["compare", "original"]) this.views.enable(view, readable);
    for (const tool of ["keep", "drop"]) this.tools.enable(tool, readable);
    if (!readable) {
      if (["compare", "original"].includes(this.views.value)) this.views.set("result");
      if (["keep", "drop"].includes(this.tools.value)) this.tools.set("look");
    }
    this.edit();
    this.arrange();
  }

  /** Nothing of the picture before is seen or changed while the next one is not there. */
  empty() {
    for (const id of ["after", "before", "paint"]) $(id).width = $(id).width; // which clears it
    $("after").setAttribute("aria-label", "Result");
    $("undo").disabled = $("undo-all").disabled = true;
  }

  /** The strokes or the region have changed. */
  edit() {
    this.picture.edit(this.item.strokes, this.item.region);
    const focus = document.activeElement;
    $("undo").disabled = $("undo-all").disabled = this.item.strokes.length === 0;
    if ($("undo").disabled) passFocus(focus, [$("undo"), $("undo-all")], $("paint"));
    const region = this.item.region ?? { left: 0, top: 0, width: 1, height: 1 };
    for (const input of $("region").querySelectorAll("input")) {
      input.value = Math.round(100 * region[input.name]);
    }
    this.draw();
    this.dispatchEvent(new Event("edited"));
  }

  /** Say that work is under way, or null that it is not. */
  busy(text) {
    $("busy").hidden = text === null;
    $("busy-text").textContent = text ?? "";
  }

  arrange() {
    const drawing = this.tools.value !== "look";
    const view = this.views.value;
    $("split").hidden = document.querySelector(".handle").hidden = drawing || view !== "compare";
    $("before").hidden = !["compare", "original"].includes(view);
    $("frame").classList.toggle("whole", drawing || view === "original");
    $("frame").classList.toggle("faint", drawing && view === "compare"); // what was taken away is to be found again
    $("paint").hidden = !drawing;
    $("brush").hidden = !["keep", "drop"].includes(this.tools.value);
    $("region").hidden = this.tools.value !== "region";
    this.draw();
  }

  moveSplit() {
    $("frame").style.setProperty("--split", `${$("split").value}%`);
    $("split").setAttribute("aria-valuetext", `${$("split").value} % original`);
  }

  /** Draw at the next frame of the screen, once however often it is asked for. */
  draw() {
    if (!this.pending) this.pending = requestAnimationFrame(() => { this.pending = 0; this.drawNow(); });
  }

  drawNow() {
    if (!this.picture) return;
    const after = $("after");
    const shown = this.tools.value === "look" ? this.views.value : this.views.value === "matte" ? "matte" : "result";
    if (shown === "matte") this.copy(this.picture.matte(), after);
    else compose(after, this.picture, this.background());
    after.setAttribute("aria-label", shown === "matte" ? `Matte of ${this.item.name}` : `Result of ${this.item.name}`);
    if (!$("before").hidden) this.copy(this.picture.original, $("before"));
    this.drawMarks();
  }

  copy(source, target) {
    target.width = this.picture.width;
    target.height = this.picture.height;
    target.getContext("2d").drawImage(source, 0, 0);
  }

  /** What is being drawn, and where the keyboard's pointer is, on the canvas above all. */
  drawMarks() {
    const paint = $("paint");
    if (paint.hidden) return;
    paint.width = this.picture.width;
    paint.height = this.picture.height;
    const context = paint.getContext("2d");
    const line = Math.max(1, this.picture.width / 500);
    if (this.drawing?.points) {
      context.strokeStyle = MARK[this.drawing.kind];
      drawLine(context, this.drawing);
    }
    const region = this.drawing?.region ?? (this.tools.value === "region" ? this.item.region : null);
    if (region) {
      const { width, height } = this.picture;
      context.fillStyle = "rgba(0, 0, 0, .45)";
      context.fillRect(0, 0, width, height);
      context.clearRect(region.left * width, region.top * height, region.width * width, region.height * height);
      context.strokeStyle = "#fff";
      context.lineWidth = line;
      context.strokeRect(region.left * width, region.top * height, region.width * width, region.height * height);
    }
    if (this.pointer) {
      context.strokeStyle = "#fff";
      context.lineWidth = 2 * line;
      context.beginPath();
      context.arc(...this.pointer, this.radius(), 0, 2 * Math.PI);
      context.stroke();
      context.strokeStyle = "#000";
      context.lineWidth = line;
      context.stroke();
    }
  }

  /** The brush in pixels of the picture; its size is one of the screen's. */
  radius() {
    return Math.max(1, $("brush-size").value * this.scale());
  }

  scale() {
    return this.picture.width / Math.max(1, $("paint").getBoundingClientRect().width);
  }

  place(event) {
    const box = $("paint").getBoundingClientRect();
    return [(event.clientX - box.left) * this.picture.width / box.width,
      (event.clientY - box.top) * this.picture.height / box.height];
  }

  listen() {
    const paint = $("paint");
    paint.addEventListener("pointerdown", (event) => {
      if (!this.picture || event.button) return;
      paint.setPointerCapture(event.pointerId);
      this.pointer = null;
      this.begin(this.place(event));
    });
    paint.addEventListener("pointermove", (event) => {
      if (!this.drawing) return;
      for (const one of event.getCoalescedEvents?.() ?? [event]) this.go(this.place(one));
    });
    paint.addEventListener("pointerup", () => this.end());
    paint.addEventListener("pointercancel", () => { this.drawing = null; this.draw(); });
    paint.addEventListener("keydown", (event) => this.key(event));
    paint.addEventListener("keyup", (event) => event.key === " " && this.end());
    paint.addEventListener("blur", () => {
      if (this.pointer) this.end(); // Space may be let go elsewhere, and nobody would hear of it
      this.pointer = null;
      this.draw();
    });
    $("undo").addEventListener("click", () => { this.item.strokes.pop(); this.edit(); });
    $("undo-all").addEventListener("click", () => { this.item.strokes.length = 0; this.edit(); });
    $("region").addEventListener("change", () => this.readRegion());
    $("region-clear").addEventListener("click", () => { this.item.region = null; this.edit(); });
  }

  begin(point) {
    const kind = this.tools.value;
    this.drawing = kind === "region" ? { from: point, region: null }
      : { kind, radius: this.radius(), points: [point], edges: $("brush-edges").checked };
    this.draw();
  }

  go(point) {
    if (this.drawing.points) this.drawing.points.push(point);
    else this.drawing.region = this.between(this.drawing.from, point);
    this.draw();
  }

  end() {
    const done = this.drawing;
    this.drawing = null;
    if (!done) return;
    if (done.points) this.item.strokes.push(done);
    else if (done.region && done.region.width > 0.01 && done.region.height > 0.01) this.item.region = done.region;
    this.edit();
  }

  between(from, to) {
    const inside = (value, most) => Math.min(most, Math.max(0, value)) / most;
    const xs = [from[0], to[0]].map((x) => inside(x, this.picture.width));
    const ys = [from[1], to[1]].map((y) => inside(y, this.picture.height));
    return { left: Math.min(...xs), top: Math.min(...ys), width: Math.abs(xs[0] - xs[1]), height: Math.abs(ys[0] - ys[1]) };
  }

  /** Arrow keys move a pointer over the picture, Space draws with it; Shift takes smaller steps. */
  key(event) {
    if (!this.picture) return;
    const { width, height } = this.picture;
    this.pointer ??= [width / 2, height / 2];
    if (event.key === " ") {
      if (!event.repeat) this.begin([...this.pointer]);
    } else if (event.key in ARROWS) {
      const step = (event.shiftKey ? 0.005 : 0.03) * Math.max(width, height);
      const [x, y] = ARROWS[event.key];
      this.pointer = [Math.min(width, Math.max(0, this.pointer[0] + x * step)),
        Math.min(height, Math.max(0, this.pointer[1] + y * step))];
      if (this.drawing) this.go([...this.pointer]);
    } else return;
    event.preventDefault();
    this.draw();
  }

  readRegion() {
    const share = {};
    for (const input of $("region").querySelectorAll("input")) {
      if (Number.isNaN(input.valueAsNumber)) return; // it is being typed
      share[input.name] = Math.min(100, Math.max(0, input.valueAsNumber)) / 100;
    }
    share.width = Math.min(share.width, 1 - share.left);
    share.height = Math.min(share.height, 1 - share.top);
    const whole = share.width >= 1 && share.height >= 1;
    this.item.region = whole || share.width <= 0 || share.height <= 0 ? null : share;
    this.edit();
  }
}
