// Films: a frame of it that is worked on like a picture at once, and the job that makes the film itself.

import { $, alertUser, announce, el, saveAs, seconds, stem } from "./dom.js";
import { cutOut, endJob, jobEvents, outputAddress, startJob } from "./api.js";
import { patient } from "./queue.js";
import { canvas, thumbnail } from "./picture.js";

const PURPOSES = { call: "call.mp4", web: "web.webm", editor: "editor.mov" };
const WORDS = { "call.mp4": "For a call or a page (.mp4)", "web.webm": "For the web, transparent (.webm)",
  "editor.mov": "For an editor, transparent (.mov)" };
const ENDED = ["done", "failed", "cancelled", "canceled"];

export class Films {
  /** background: gives what is chosen; onStill(item): a frame was cut out and is to be shown. */
  constructor(queue, background, onStill) {
    this.queue = queue;
    this.background = background;
    this.onStill = onStill;
    this.item = null;
    this.player = null;
    $("scrub").addEventListener("change", () => this.seek(Number($("scrub").value)));
    $("start-here").addEventListener("click", () => this.trim("start"));
    $("end-here").addEventListener("click", () => this.trim("end"));
    $("film-panel").addEventListener("change", () => this.read());
    $("film-start-job").addEventListener("click", () => this.make(this.item));
    $("film-cancel").addEventListener("click", () => this.stop(this.item));
    queue.addEventListener("changed", (event) => event.detail === this.item && this.draw());
    queue.addEventListener("removed", (event) => this.forget(event.detail));
  }

  /** Show the panel of a film; of anything else it is hidden. */
  async select(item) {
    this.item = item?.kind === "film" ? item : null;
    $("film-panel").hidden = this.item === null;
    $("film-result").hidden = true;
    $("film-result").removeAttribute("src");
    this.closePlayer();
    if (!this.item) return;
    const { start, duration, purposes, at } = item.settings;
    $("film-start").value = start;
    $("film-duration").value = duration ?? "";
    for (const box of document.getElementsByName("purpose")) box.checked = purposes.includes(box.value);
    this.draw();
    const player = await opened(item.file);
    if (this.item !== item) return closed(player);
    this.player = player;
    $("scrub").disabled = $("start-here").disabled = $("end-here").disabled = player === null;
    if (!player) {
      item.message ||= "This browser cannot show the film; the server can still work on it.";
      return this.draw();
    }
    $("scrub").max = player.duration;
    $("scrub").value = at;
    if (!item.cutOut) await this.seek(at);
  }

  closePlayer() {
    if (this.player) closed(this.player);
    this.player = null;
  }

  /** Take the frame at so many seconds and have it cut out. */
  async seek(at) {
    const { item, player } = this;
    if (!item || !player) return;
    item.settings.at = at;
    $("scrub").setAttribute("aria-valuetext", seconds(at));
    try {
      await frameAt(player, at);
      if (this.item !== item || item.settings.at !== at) return;
      item.thumbnail ??= thumbnail(player, player.videoWidth, player.videoHeight);
      const still = canvas(player.videoWidth, player.videoHeight);
      still.getContext("2d").drawImage(player, 0, 0);
      const blob = await new Promise((resolve) => still.toBlob(resolve, "image/png"));
      this.onStill(item, "Finding the person in this frame");
      const found = await patient(() => cutOut(blob, item.abort.signal), item.abort.signal, () => {});
      if (item.settings.at !== at) return; // a later frame was asked for meanwhile
      Object.assign(item, { still: blob, cutOut: found, strokes: [] });
      this.onStill(item, null);
    } catch (error) {
      if (error.name !== "AbortError") alertUser(`${item.name}: ${error.message}`);
      if (this.item === item) this.onStill(item, null);
    }
    this.queue.changed(item);
  }

  trim(side) {
    const at = Number($("scrub").value);
    if (side === "start") $("film-start").value = at.toFixed(1);
    else $("film-duration").value = Math.max(0.1, at - Number($("film-start").value)).toFixed(1);
    this.read();
  }

  read() {
    if (!this.item) return;
    const { settings } = this.item;
    settings.start = Math.max(0, Number($("film-start").value) || 0);
    settings.duration = Number($("film-duration").value) || null;
    settings.purposes = [...document.getElementsByName("purpose")].filter((box) => box.checked).map((box) => box.value);
    this.draw();
  }

  draw() {
    const { item } = this;
    const busy = ["uploading", "working"].includes(item.state);
    $("film-start-job").disabled = busy || item.settings.purposes.length === 0;
    $("film-cancel").hidden = !busy;
    $("film-progress").hidden = !busy;
    if (item.progress === null) $("film-progress").removeAttribute("value");
    else $("film-progress").value = item.progress;
    $("film-hint").textContent = item.message
      || (item.settings.purposes.length ? "" : "Choose at least one thing that the film is for.");
    $("film-outputs").replaceChildren(...item.outputs.map((output) => this.row(item, output)));
  }

  row(item, { name, bytes }) {
    const title = WORDS[name] ?? name;
    const save = el("button", { type: "button", "aria-label": `Download: ${title}` }, "Download");
    save.addEventListener("click", () => this.download(item, name));
    const line = el("li", {}, el("span", { className: "grow" }, title),
      el("span", { className: "hint" }, bytes ? `${(bytes / 1e6).toFixed(1)} MB` : ""));
    if (/\.(mp4|webm)$/.test(name)) {
      const play = el("button", { type: "button", "aria-label": `Play: ${title}` }, "Play");
      play.addEventListener("click", () => this.play(item, name));
      line.append(play);
    }
    line.append(save);
    return line;
  }

  play(item, name) {
    const player = $("film-result");
    player.src = outputAddress(item.job, name);
    player.hidden = false;
    player.play().catch(() => {}); // the user's own controls are there
  }

  download(item, name) {
    saveAs(outputAddress(item.job, name), `${stem(item.name)}-${name}`);
  }

  async make(item) {
    const set = (changes) => { Object.assign(item, changes); this.queue.changed(item); };
    item.abort = new AbortController();
    set({ state: "uploading", progress: 0, message: "Sending the film", outputs: [] });
    try {
      const fields = { ...this.fields(item), ...backgroundFields(this.background()) };
      const made = await patient(() => startJob(item.file, fields,
        (share) => set({ progress: share, message: "Sending the film" }), item.abort.signal),
      item.abort.signal, (text) => set({ message: text }));
      set({ job: made.id, state: "working", progress: null, message: "Waiting for its turn" });
      announce(`${item.name} is being made.`);
      await this.follow(item, set);
    } catch (error) {
      if (error.name === "AbortError") set({ state: "idle", progress: null, message: "Stopped." });
      else set({ state: "failed", progress: null, message: error.message });
    }
    announce(`${item.name}: ${item.state === "done" ? "the film is ready" : item.message}`);
  }

  fields(item) {
    const { start, duration, purposes } = item.settings;
    return { start: start || null, duration, outputs: purposes.map((purpose) => PURPOSES[purpose]) };
  }

  async follow(item, set) {
    for await (const event of jobEvents(item.job, item.abort.signal)) {
      if (event.state === "failed") throw new Error(event.error?.message ?? event.error ?? "The film could not be made.");
      const share = event.progress ?? null;
      set({ progress: share, message: told(event) });
      if (ENDED.includes(event.state)) {
        return set({ state: event.state === "done" ? "done" : "idle", progress: null, outputs: event.outputs ?? [],
          message: event.state === "done" ? "" : "Stopped." });
      }
    }
    throw new Error("The server ended the connection before the film was ready.");
  }

  async stop(item) {
    item.abort.abort();
    if (item.job) await endJob(item.job).catch(() => {}); // it may have ended by itself
  }

  forget(item) {
    if (item.job && ["working"].includes(item.state)) this.stop(item);
    if (this.item === item) this.select(null);
  }
}

function told(event) {
  const parts = [];
  if (event.progress != null) parts.push(`${Math.round(100 * event.progress)} %`);
  if (event.fps) parts.push(`${event.fps.toFixed(0)} pictures a second`);
  if (event.eta) parts.push(`${seconds(event.eta)} to go`);
  return parts.join(", ") || "Waiting for its turn";
}

export function backgroundFields(background) {
  if (background.kind === "colour") return { background: background.colour };
  if (background.kind === "blur") return { background: "blur", blur: background.blur };
  if (background.kind === "picture") return { background_file: background.file };
  return {};
}

/** A video element that has the film open and shows nothing; null where the browser cannot read it. */
function opened(file) {
  return new Promise((resolve) => {
    const player = el("video", { muted: true, preload: "auto", playsInline: true });
    player.onloadeddata = () => resolve(player);
    player.onerror = () => { closed(player); resolve(null); };
    player.src = URL.createObjectURL(file);
  });
}

function closed(player) {
  if (!player) return;
  URL.revokeObjectURL(player.src);
  player.removeAttribute("src");
  player.load();
}

function frameAt(player, at) {
  return new Promise((resolve, reject) => {
    if (Math.abs(player.currentTime - at) < 1e-3 && player.readyState >= 2) return resolve();
    player.onseeked = () => resolve();
    player.onerror = () => reject(new Error("this frame cannot be read"));
    player.currentTime = Math.min(at, Math.max(0, player.duration - 0.05));
  });
}
