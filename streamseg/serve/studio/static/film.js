// Films: a frame of it that is worked on like a picture at once, and the job that makes the film itself.

import { $, alertUser, announce, el, saveAs, seconds, size, stem } from "./dom.js";
import { cutOut, endJob, jobEvents, outputAddress, previewAddress, startJob } from "./api.js";
import { patient } from "./queue.js";
import { canvas, thumbnail } from "./picture.js";
import { closed, frameAt, opened } from "./player.js";

// What a film is for: the extension decides the codec (VP9 and ProRes 4444 where there is transparency)
const PURPOSES = {
  call: { ending: "call.mp4", words: "For a call or a page (.mp4)", transparent: false },
  web: { ending: "web.webm", words: "For the web, transparent (.webm)", transparent: true },
  editor: { ending: "editor.mov", words: "For an editor, transparent (.mov)", transparent: true },
};
const TRIED = 3; // seconds
const FAILED = { failed: "The film could not be made.", gone: "The server has deleted the film." };

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
    $("film-try").addEventListener("click", () => this.attempt(this.item));
    $("film-cancel").addEventListener("click", () => this.stop(this.item));
    $("film-preview-scrub").addEventListener("input", () => this.showPreview());
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
      Object.assign(item, { still: blob, cutOut: found, strokes: strokesAt(item, at), size: [still.width, still.height] });
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
    $("film-start-job").disabled = $("film-try").disabled = busy || item.settings.purposes.length === 0;
    $("film-cancel").hidden = !busy;
    $("film-progress").hidden = !busy;
    this.drawPreviews();
    if (item.progress === null) $("film-progress").removeAttribute("value");
    else $("film-progress").value = item.progress;
    $("film-hint").textContent = item.message || this.advice(item.settings.purposes);
    $("film-outputs").replaceChildren(...item.outputs.map((output) => this.row(item, output)));
  }

  /** What is made so far: the newest picture, unless another was chosen. */
  drawPreviews() {
    const { times = [], job } = this.item.previews ?? {};
    const scrub = $("film-preview-scrub");
    $("film-preview").hidden = times.length === 0;
    const newest = Number(scrub.value) === Number(scrub.max) || scrub.dataset.job !== job;
    if (times.length === 0 || (scrub.dataset.job === job && times.length - 1 === Number(scrub.max))) return;
    scrub.dataset.job = job;
    scrub.max = times.length - 1;
    if (newest) scrub.value = scrub.max;
    this.showPreview();
  }

  showPreview() {
    const { times, job } = this.item?.previews ?? {};
    if (!times?.length) return;
    const number = Number($("film-preview-scrub").value);
    $("film-preview-scrub").setAttribute("aria-valuetext", seconds(times[number]));
    $("film-preview-picture").src = previewAddress(job, number);
  }

  advice(purposes) {
    if (!purposes.length) return "Choose at least one thing that the film is for.";
    const { kind, picture } = this.background();
    const open = purposes.includes("call") && (kind === "none" || (kind === "picture" && !picture));
    return open ? "An .mp4 holds no transparency: choose a background above, or it becomes green." : "";
  }

  row(item, { name, bytes, url, words }) {
    const save = el("button", { type: "button", "aria-label": `Download: ${words}` }, "Download");
    save.addEventListener("click", () => saveAs(url, name));
    const line = el("li", {}, el("span", { className: "grow" }, words),
      el("span", { className: "hint" }, size(bytes)));
    if (/\.(mp4|webm)$/.test(name)) {
      const play = el("button", { type: "button", "aria-label": `Play: ${words}` }, "Play");
      play.addEventListener("click", () => this.play(url));
      line.append(play);
    }
    line.append(save);
    return line;
  }

  play(url) {
    const player = $("film-result");
    player.src = url;
    player.hidden = false;
    player.play().catch(() => {}); // the user's own controls are there
  }

  /** Make the first seconds alone, for one purpose, and play them: how the film will move. */
  async attempt(item) {
    const { duration, purposes } = item.settings;
    const shown = purposes.find((purpose) => purpose !== "editor") ?? "web"; // browsers show no ProRes
    await this.make(item, { ...item.settings, duration: Math.min(TRIED, duration ?? TRIED), purposes: [shown] });
    if (this.item === item && item.outputs.length) this.play(item.outputs[0].url);
  }

  async make(item, settings = item.settings) {
    const set = (changes) => { Object.assign(item, changes); this.queue.changed(item); };
    item.abort = new AbortController();
    this.discard(item); // what was made before
    set({ outputs: [] });
    try {
      const common = { name: item.name, ...drawnOn(item) };
      for (const fields of jobsFor(common, settings, this.background())) await this.makeOne(item, fields, set);
      set({ state: "done", progress: null, message: "" });
    } catch (error) {
      if (error.name === "AbortError") set({ state: "idle", progress: null, message: "Stopped." });
      else set({ state: "failed", progress: null, message: error.message });
    }
    set({ previews: null });
    announce(`${item.name}: ${item.state === "done" ? "the film is ready" : item.message}`);
  }

  async makeOne(item, fields, set) {
    set({ state: "uploading", progress: 0, message: "Sending the film" });
    const made = await patient(() => startJob(item.file, fields,
      (share) => set({ progress: share, message: "Sending the film" }), item.abort.signal),
    item.abort.signal, (text) => set({ message: text }));
    item.jobs.push(made.id);
    set({ state: "working", progress: null, message: "Waiting for its turn" });
    announce(`${item.name} is being made.`);
    for await (const event of jobEvents(made.id, item.abort.signal)) {
      if (event.state === "failed") throw new Error(event.error?.message ?? FAILED.failed);
      if (event.state === "done") {
        const outputs = event.outputs.map(({ name, bytes }) => ({ name, bytes, url: outputAddress(made.id, name),
          words: Object.values(PURPOSES).find(({ ending }) => name.endsWith(ending)).words }));
        return set({ outputs: [...item.outputs, ...outputs], previews: null });
      }
      const { frames, total } = event.progress ?? {};
      item.previews = { job: made.id, times: event.progress?.previews ?? [] };
      set({ progress: total ? frames / total : null, message: told(event) });
    }
    throw new Error(FAILED.gone);
  }

  stop(item) {
    item.abort.abort();
    this.discard(item);
  }

  /** Delete the item's jobs and their films on the server. */
  discard(item) {
    for (const job of item.jobs.splice(0)) endJob(job).catch(() => {}); // it may be deleted by its age already
  }

  forget(item) {
    this.discard(item);
    if (this.item === item) this.select(null);
  }
}

function told({ state, progress, before }) {
  if (state === "queued" && before) return `Waiting behind ${before} other${before > 1 ? "s" : ""}`;
  if (!progress) return state === "running" ? "Beginning" : "Waiting for its turn";
  const parts = [progress.total ? `${Math.round(100 * progress.frames / progress.total)} %` : `${progress.frames} pictures`];
  if (progress.fps) parts.push(`${progress.fps.toFixed(0)} pictures a second`);
  if (progress.eta) parts.push(`${seconds(progress.eta)} to go`);
  return parts.join(", ");
}

/**
 * The fields of the jobs that make what a film is for. One job is one inference: its results all have the background
 * that is chosen, and beside them it makes one cut-out. Only where two transparent ones and an opaque one are wanted
 * are there two jobs.
 */
function jobsFor(drawn, { start, duration, purposes }, background) {
  const common = { ...drawn, start: start || null, duration };
  const file = (purpose) => `${plain(drawn.name)}-${PURPOSES[purpose].ending}`;
  const clear = purposes.filter((purpose) => PURPOSES[purpose].transparent);
  if (clear.length === purposes.length) return [{ ...common, background: "none", output: clear.map(file) }];
  const [beside, ...later] = clear;
  const jobs = [{ ...common, ...backgroundFields(background),
    output: [file("call"), ...(beside ? [`cutout:${file(beside)}`] : [])] }];
  if (later.length) jobs.push({ ...common, background: "none", output: later.map(file) });
  return jobs;
}

/** The strokes on the frame at so many seconds: those that were drawn on it before. */
function strokesAt(item, at) {
  if (!item.frames.has(at)) item.frames.set(at, []);
  return item.frames.get(at);
}

/** What was drawn on a film's frames, as options of the job: the server carries strokes along with the motion. */
function drawnOn(item) {
  if (!item.size) return {};
  const [width, height] = item.size;
  const share = (value, whole) => Math.min(1, Math.max(0, Math.round(1e4 * value / whole) / 1e4));
  const strokes = [...item.frames].flatMap(([time, drawn]) => drawn.map(({ kind, radius, points, edges }) => ({
    kind, time, edges: Boolean(edges), radius: Math.min(0.5, Math.max(1e-4, radius / width)),
    points: points.map(([x, y]) => [share(x, width), share(y, height)]),
  })));
  return { strokes: strokes.length ? JSON.stringify(strokes) : null, roi: item.region && area(item.region, width, height) };
}

/** A region as the option roi has it. A pixel less, where it does not begin at the side: both are rounded. */
function area({ left, top, width, height }, across, down) {
  const percent = (value) => `${Math.max(0, Math.floor(1e4 * value) / 100)}%`;
  return [percent(left), percent(top), percent(width - (left > 0) / across), percent(height - (top > 0) / down)].join(",");
}

/** A film's name as the names of outputs may be. */
const plain = (name) => stem(name.slice(name.lastIndexOf("/") + 1)).toLowerCase().replaceAll(/[^a-z0-9._-]+/g, "-")
  .replace(/^[^a-z0-9]+/, "").slice(0, 40) || "film";

function backgroundFields(background) {
  if (background.kind === "colour") return { background: background.colour };
  if (background.kind === "blur") return { background: "blur", blur: background.blur };
  return background.kind === "picture" && background.file ? { background_file: background.file } : {};
}
