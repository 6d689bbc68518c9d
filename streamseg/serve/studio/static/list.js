// The queue as a list: a row for each item, with its thumbnail, its state and what can be done with it.

import { $, el } from "./dom.js";
import { thumbnail } from "./picture.js";

const STATES = { idle: "ready", waiting: "waiting", working: "working", uploading: "sending", done: "done", failed: "failed" };

export class QueueList {
  /** choose(item) is called when a row is. */
  constructor(queue, choose) {
    this.queue = queue;
    this.onChoose = choose;
    this.rows = new Map();
    this.chosen = null;
    this.thumbnails = Promise.resolve();
    queue.addEventListener("added", (event) => {
      event.detail.forEach((item) => this.add(item));
      event.detail.filter((item) => item.kind === "picture").forEach((item) => this.makeThumbnail(item));
      this.drawCount();
    });
    queue.addEventListener("changed", (event) => { this.draw(event.detail); this.drawCount(); });
    queue.addEventListener("removed", (event) => {
      this.rows.get(event.detail)?.row.remove();
      this.rows.delete(event.detail);
      this.drawCount();
    });
  }

  choose(item) {
    this.chosen = item;
    for (const other of this.rows.keys()) this.draw(other);
  }

  add(item) {
    const picture = el("span", { className: "thumb", "aria-hidden": "true" });
    const name = el("span", { className: "title" }, item.name);
    const state = el("span", { className: "hint" });
    const bar = el("progress", { max: 1, hidden: true, "aria-label": `Progress of ${item.name}` });
    const pick = el("button", { type: "button", className: "pick" }, picture, el("span", { className: "grow" }, name, state, bar));
    const again = el("button", { type: "button", hidden: true, "aria-label": `Try ${item.name} again` }, "Again");
    const remove = el("button", { type: "button", className: "remove", "aria-label": `Remove ${item.name}` }, "×");
    pick.addEventListener("click", () => this.onChoose(item));
    again.addEventListener("click", () => { pick.focus(); this.queue.again(item); });
    remove.addEventListener("click", () => { this.focusBeside(item); this.queue.remove(item); });
    const row = el("li", { id: item.id }, pick, again, remove);
    $("queue").append(row);
    this.rows.set(item, { row, picture, state, bar, pick, again });
    this.draw(item);
  }

  draw(item) {
    const parts = this.rows.get(item);
    if (!parts) return;
    parts.row.dataset.state = item.state;
    const nobody = item.nobody && item.state === (item.kind === "film" ? "idle" : "done");
    parts.state.textContent = item.message || (nobody ? "nobody was found" : STATES[item.state]);
    parts.bar.hidden = !["working", "uploading"].includes(item.state);
    if (item.progress === null) parts.bar.removeAttribute("value");
    else parts.bar.value = item.progress;
    parts.again.hidden = !(item.kind === "picture" && item.state === "failed");
    parts.pick.setAttribute("aria-current", String(item === this.chosen));
    if (item.thumbnail && !parts.picture.firstChild) parts.picture.append(item.thumbnail);
  }

  /** Keep the focus in the list when the row that has it goes. */
  focusBeside(item) {
    const { row } = this.rows.get(item);
    (row.nextElementSibling ?? row.previousElementSibling)?.querySelector(".pick").focus();
  }

  drawCount() {
    const { items } = this.queue;
    const done = items.filter((item) => item.state === "done").length;
    $("queue-box").hidden = items.length === 0;
    $("queue-count").textContent = `${done} of ${items.length} done`;
    $("download-all").disabled = done === 0;
    $("panel-files").classList.toggle("empty", items.length === 0);
  }

  /** Thumbnails one after the other: a hundred pictures decoded at once would fill a phone's memory. */
  makeThumbnail(item) {
    this.thumbnails = this.thumbnails.then(async () => {
      if (!this.rows.has(item)) return;
      const bitmap = await createImageBitmap(item.file).catch(() => null);
      if (!bitmap) return;
      item.thumbnail = thumbnail(bitmap, bitmap.width, bitmap.height);
      bitmap.close();
      this.draw(item);
    });
  }
}
