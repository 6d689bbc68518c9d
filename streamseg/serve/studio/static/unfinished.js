// Uploads that the end of the page broke off. The server keeps what came of a film; here stands which file it was, so
// that the same file, chosen again, goes on from there. The film itself is not copied into the browser.

import { $, el, size } from "./dom.js";
import { endJob, sentOf } from "./api.js";

const KEY = "streamseg.uploads";
const lock = (job) => `streamseg.upload.${job}`;

/** {job, name, size, modified, settings, later} of each upload that was begun and has not come to its end. */
function kept() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY));
    return Array.isArray(found) ? found : [];
  } catch { // it is closed to the page, or holds something else
    return [];
  }
}

function keep(uploads) {
  try {
    localStorage.setItem(KEY, JSON.stringify(uploads));
  } catch { /* it is closed or full: an upload then ends with the page, as everywhere else */ }
}

/** Note an upload that begins, while `send` sends it; it stays noted where the page ends or the server is gone. */
export async function noted(upload, send) {
  keep([...kept().filter(({ job }) => job !== upload.job), upload]);
  try {
    await (navigator.locks ? navigator.locks.request(lock(upload.job), send) : send());
    forget(upload.job);
  } catch (error) {
    if (error.status !== 0) forget(upload.job);
    throw error;
  }
}

export function forget(job) { keep(kept().filter((upload) => upload.job !== job)); }

/** The list of what waits for its file again. It asks the server for nothing where there is none. */
export class Unfinished {
  constructor() {
    this.waiting = [];
  }

  async look() {
    const uploads = kept();
    if (!uploads.length) return;
    const { held = [] } = (await navigator.locks?.query()) ?? {};
    const elsewhere = held.map(({ name }) => name); // another tab of this browser sends it now
    for (const upload of uploads.filter(({ job }) => !elsewhere.includes(lock(job)))) {
      try {
        this.waiting.push({ ...upload, sent: await sentOf(upload.job) });
      } catch (error) {
        if (error.status === 404) forget(upload.job); // deleted by its age, or by hand
      }
    }
    this.draw();
  }

  /** The upload that `file` is the rest of, which waits no longer; undefined for another file. */
  take(file) {
    const found = this.waiting.find(({ name, size: bytes, modified }) =>
      name === file.name && bytes === file.size && modified === file.lastModified);
    if (found) this.drop(found);
    return found;
  }

  drop(upload) {
    this.waiting = this.waiting.filter((other) => other !== upload);
    this.draw();
  }

  draw() {
    $("unfinished").hidden = this.waiting.length === 0;
    $("unfinished-list").replaceChildren(...this.waiting.map((upload) => this.row(upload)));
  }

  row(upload) {
    const choose = el("button", { type: "button", "aria-label": `Choose ${upload.name} again` }, "Choose it again");
    const remove = el("button", { type: "button", "aria-label": `Delete what was sent of ${upload.name}` }, "Delete");
    choose.addEventListener("click", () => $("files").click());
    remove.addEventListener("click", () => {
      forget(upload.job);
      endJob(upload.job).catch(() => {}); // it may be gone already
      this.drop(upload);
      $("choose").focus();
    });
    return el("li", {}, el("span", { className: "grow" }, el("span", { className: "title" }, upload.name),
      el("span", { className: "hint" }, `${size(upload.sent)} of ${size(upload.size)} were sent`)), choose, remove);
  }
}
