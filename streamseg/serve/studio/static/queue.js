// What was dropped, and the pictures' way through the server: a few at a time, so that the server can put
// them through the net together; when it is full they wait as long as it says.

import { cutOut } from "./api.js";

const AT_ONCE = 4;
const BUSY = [429, 503];
const WAIT = 2;          // seconds, where a full server does not say how long
const FILMS = /\.(mp4|m4v|mov|mkv|webm|avi|ts|mts|mpg|mpeg|wmv|flv|ogv|3gp)$/i;
const PICTURES = /\.(jpe?g|png|webp|avif|heic|heif|tiff?|bmp|gif)$/i;

/** "film", "picture" or null for a file that is neither. */
export function kindOf(file) {
  if (file.name.startsWith(".")) return null; // what systems leave in folders
  if (file.type.startsWith("video/") || FILMS.test(file.name)) return "film";
  return file.type.startsWith("image/") || PICTURES.test(file.name) ? "picture" : null;
}

let count = 0;

/**
 * One file. state: waiting, working, done, failed, or for a film idle, uploading, working, done, failed.
 * still: what the picture API is given: the file, or a frame of the film. cutOut: what it answered.
 */
export class Item {
  constructor(file, kind, name = file.name) {
    count += 1;
    this.id = `item-${count}`;
    this.file = file;
    this.kind = kind;
    this.name = name;
    this.state = kind === "film" ? "idle" : "waiting";
    this.progress = null;
    this.message = "";
    this.still = kind === "film" ? null : file;
    this.cutOut = null;
    this.nobody = false;      // whether nobody was found in it
    this.thumbnail = null;
    this.strokes = [];
    this.frames = new Map();  // of a film: seconds -> the strokes that were drawn on that frame
    this.previews = null;     // of a film that is made: its job, and the times of the small pictures that are there
    this.size = null;         // of a film: width and height of its frames
    this.region = null;
    this.abort = new AbortController();   // of all that is asked for it, until it is removed
    this.making = new AbortController();  // of a film that is made, until it is stopped
    this.jobs = [];
    this.outputs = [];
    this.settings = { start: 0, duration: null, purposes: ["call"], at: 0 };
  }
}

export class Queue extends EventTarget {
  constructor() {
    super();
    this.items = [];
    this.working = 0;
  }

  add(items) {
    this.items.push(...items);
    this.tell("added", items);
    this.next();
  }

  remove(item) {
    item.abort.abort();
    item.making.abort();
    this.items = this.items.filter((other) => other !== item);
    this.tell("removed", item);
  }

  /** Something of the item has changed. */
  changed(item) { this.tell("changed", item); }

  /** Let a failed picture begin anew. */
  again(item) {
    item.state = "waiting";
    item.message = "";
    this.changed(item);
    this.next();
  }

  tell(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }

  next() {
    while (this.working < AT_ONCE) {
      const item = this.items.find((one) => one.kind === "picture" && one.state === "waiting");
      if (!item) return;
      this.working += 1;
      item.state = "working";
      this.changed(item);
      this.work(item).finally(() => { this.working -= 1; this.next(); });
    }
  }

  async work(item) {
    try {
      const found = await patient(() => cutOut(item.file, item.abort.signal), item.abort.signal,
        (text) => { item.message = text; this.changed(item); });
      Object.assign(item, { cutOut: found.file, nobody: found.nobody });
      item.state = "done";
      item.message = "";
    } catch (error) {
      if (error.name === "AbortError") return;
      item.state = "failed";
      item.message = error.message;
    }
    this.changed(item);
  }
}

/** Ask again, after the time that the server names, as long as it is full. */
export async function patient(ask, signal, onWait) {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!BUSY.includes(error.status)) throw error;
      onWait("the server is busy");
      await pause(error.retryAfter ?? WAIT, signal);
    }
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("stopped", "AbortError"));
    }, { once: true });
  });
}

/** The files of a drop, with those of its folders. */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = [];
  for (const entry of entries) await collect(entry, found);
  return found;
}

async function collect(entry, found) {
  if (entry instanceof File) {
    found.push(entry);
  } else if (entry?.isFile) {
    found.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
  } else if (entry?.isDirectory) {
    const reader = entry.createReader();
    for (;;) { // it gives at most 100 at a time, and none at the end
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) return;
      for (const one of some) await collect(one, found);
    }
  }
}
