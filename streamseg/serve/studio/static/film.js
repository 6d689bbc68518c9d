// Films: a frame of it that is worked on like a picture at once, and the job that makes the film itself.

import { $, alertUser, announce, el, passFocus, saveAs, seconds, size } from "./dom.js";
import { cutOut, endJob, job, jobEvents, newJob, outputAddress, previewAddress, sendFilm } from "./api.js";
import { drawnOn, jobsFor, PURPOSES } from "./jobs.js";
import { patient } from "./queue.js";
import { canvas, thumbnail } from "./picture.js";
import { closed, frameAt, opened } from "./player.js";
import { forget, noted } from "./unfinished.js";

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
    this.listed = null;   // the outputs that the list shows
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
    hideResult();
    this.closePlayer();
    if (!this.item) return;
    this.fill(item.settings);
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
    $("scrub").value = item.settings.at;
    if (!item.cutOut) await this.seek(item.settings.at);
  }

  fill({ start, duration, purposes }) {
    $("film-start").value = start;
    $("film-duration").value = duration ?? "";
    for (const box of document.getElementsByName("purpose")) box.checked = purposes.includes(box.value);
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
      Object.assign(item, { still: blob, cutOut: found.file, nobody: found.nobody, strokes: strokesAt(item, at), size: [still.width, still.height] });
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
    settings.duration = Math.max(0, Number($("film-duration").value)) || null;
    settings.purposes = [...document.getElementsByName("purpose")].filter((box) => box.checked).map((box) => box.value);
    this.fill(settings); // what is shown is what will be done
    this.draw();
  }

  draw() {
    const { item } = this;
    const busy = ["uploading", "working"].includes(item.state);
    const late = this.lateStart(item.settings);
    const focus = document.activeElement;
    $("film-start-job").disabled = $("film-try").disabled = busy || late !== "" || item.settings.purposes.length === 0;
    $("film-cancel").hidden = !busy;
    $("film-progress").hidden = !busy;
    if (busy) passFocus(focus, [$("film-start-job"), $("film-try")], $("film-cancel"));
    else passFocus(focus, [$("film-cancel")], $("film-start-job"));
    this.drawPreviews();
    if (item.progress === null) $("film-progress").removeAttribute("value");
    else $("film-progress").value = item.progress;
    $("film-hint").textContent = (!busy && late) || item.message || this.advice(item.settings.purposes);
    if (this.listed === item.outputs) return; // a button of the list may have the focus
    this.listed = item.outputs;
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

  lateStart({ start }) {
    const length = this.player?.duration;
    return start > 0 && start >= length ? `The film lasts ${seconds(length)}: choose an earlier start.` : "";
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
    this.discard(item); // what was made before
    hideResult();
    const common = { name: item.name, ...drawnOn(item) };
    await this.work(item, (set) => this.makeAll(item, jobsFor(common, settings, this.background()), set));
  }

  /** Go on with what the end of the page broke off (see unfinished.js): `item` has the same file. */
  async resume(item, upload) {
    Object.assign(item.settings, upload.settings);
    item.jobs.push(upload.job);
    if (this.item === item) this.fill(item.settings);
    await this.work(item, async (set) => {
      set({ state: "uploading", progress: upload.sent / upload.size, message: "Sending the film" });
      if ((await job(upload.job)).state === "uploading") await this.send(item, upload.job, upload.later, set);
      forget(upload.job);
      await this.follow(item, upload.job, set);
      await this.makeAll(item, upload.later, set);
    });
  }

  async work(item, doing) {
    const set = (changes) => { Object.assign(item, changes); this.queue.changed(item); };
    item.making = new AbortController();
    set({ outputs: [] });
    try {
      await doing(set);
      set({ state: "done", progress: null, message: "" });
    } catch (error) {
      if (error.name === "AbortError") set({ state: "idle", progress: null, message: "Stopped." });
      else set({ state: "failed", progress: null, message: error.message });
    }
    set({ previews: null });
    announce(`${item.name}: ${item.state === "done" ? "the film is ready" : item.message}`);
  }

  /** The jobs with these fields, one after the other. */
  async makeAll(item, jobs, set) {
    for (const [place, fields] of jobs.entries()) {
      set({ state: "uploading", progress: 0, message: "Sending the film" });
      const id = await patient(() => newJob(item.file.size, fields, item.making.signal),
        item.making.signal, (text) => set({ message: text }));
      item.jobs.push(id);
      await this.send(item, id, jobs.slice(place + 1), set);
      await this.follow(item, id, set);
    }
  }

  /** later: the fields of the jobs that are made after this one. */
  async send(item, id, later, set) {
    const { name, size: bytes, lastModified: modified } = item.file;
    const { signal } = item.making;
    const progress = (share) => set({ state: "uploading", progress: share, message: "Sending the film" });
    try {
      await noted({ job: id, name, size: bytes, modified, settings: item.settings, later },
        () => patient(() => sendFilm(id, item.file, progress, signal), signal, (text) => set({ message: text })));
    } catch (error) {
      if (error.status !== 0 && error.status !== 404) endJob(id).catch(() => {}); // nobody sends the rest
      throw error;
    }
  }

  async follow(item, id, set) {
    set({ state: "working", progress: null, message: "Waiting for its turn" });
    announce(`${item.name} is being made.`);
    for await (const event of jobEvents(id, item.making.signal)) {
      if (event?.state === "failed") throw new Error(event.error?.message ?? FAILED.failed);
      if (event?.state === "done") {
        const outputs = event.outputs.map(({ name, bytes }) => ({ name, bytes, url: outputAddress(id, name),
          words: Object.values(PURPOSES).find(({ ending }) => name.endsWith(ending)).words }));
        return set({ outputs: [...item.outputs, ...outputs], previews: null });
      }
      if (!event) {
        set({ progress: null, message: "The server does not answer. It is asked again." });
        continue;
      }
      const { frames, total } = event.progress ?? {};
      item.previews = { job: id, times: event.progress?.previews ?? [] };
      set({ progress: total ? frames / total : null, message: told(event) });
    }
    throw new Error(FAILED.gone);
  }

  stop(item) {
    item.making.abort();
    this.discard(item);
  }

  /** Delete the item's jobs and their films on the server. */
  discard(item) {
    for (const one of item.jobs.splice(0)) {
      forget(one);
      endJob(one).catch(() => {}); // it may be deleted by its age already
    }
  }

  forget(item) {
    this.discard(item);
    if (this.item === item) this.select(null);
  }
}

/** What plays is no longer there, or belongs to another film. */
function hideResult() {
  $("film-result").hidden = true;
  $("film-result").removeAttribute("src");
}

function told({ state, progress, before }) {
  if (state === "queued" && before) return `Waiting behind ${before} other${before > 1 ? "s" : ""}`;
  if (!progress) return state === "running" ? "Beginning" : "Waiting for its turn";
  const parts = [progress.total ? `${Math.round(100 * progress.frames / progress.total)} %` : `${progress.frames} pictures`];
  if (progress.fps) parts.push(`${progress.fps.toFixed(0)} pictures a second`);
  if (progress.eta) parts.push(`${seconds(progress.eta)} to go`);
  return parts.join(", ");
}

/** The strokes on the frame at so many seconds: those that were drawn on it before. */
function strokesAt(item, at) {
  if (!item.frames.has(at)) item.frames.set(at, []);
  return item.frames.get(at);
}
