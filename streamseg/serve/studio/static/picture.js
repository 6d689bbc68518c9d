// One picture that is looked at: what came in, the server's cut-out, and what strokes and region make of it.
// All canvases have the picture's own size, or MOST_PIXELS if it is larger.

import { paintStroke } from "./strokes.js";

const MOST_PIXELS = 16_700_000; // what phones allow one canvas

export function canvas(width, height) {
  const made = document.createElement("canvas");
  made.width = width;
  made.height = height;
  return made;
}

/** A picture file decoded upright, at most MOST_PIXELS large. Rejects what the browser cannot read. */
export async function decoded(file, size = null) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (bitmap.width * bitmap.height)));
  const [width, height] = size ?? [Math.floor(bitmap.width * scale), Math.floor(bitmap.height * scale)];
  if (width === bitmap.width && height === bitmap.height) return bitmap;
  const smaller = await createImageBitmap(bitmap,
    { resizeWidth: width, resizeHeight: height, resizeQuality: "high" });
  bitmap.close();
  return smaller;
}

/** A small copy of a bitmap or video frame for the queue. */
export function thumbnail(source, width, height) {
  const scale = 96 / Math.max(width, height);
  const made = canvas(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  const context = made.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, made.width, made.height);
  return made;
}

export class Picture {
  /**
   * original  ImageBitmap, or null where the browser cannot read the file (HEIC, say): the cut-out alone is
   *           shown then, and there are no strokes
   * cutOut    ImageBitmap with transparency, of the same size
   */
  constructor(original, cutOut) {
    this.original = original;
    this.cutOut = cutOut;
    this.width = cutOut.width;
    this.height = cutOut.height;
    this.person = canvas(this.width, this.height);
    this.keep = canvas(this.width, this.height);
    this.drop = canvas(this.width, this.height);
    this.region = null;
    this.drawn = 0;
    this.room = null; // compose.js keeps its blurred room here until the person changes
  }

  static async open(still, cutOutFile) {
    const cutOut = await decoded(cutOutFile);
    let original = null;
    try {
      original = await decoded(still, [cutOut.width, cutOut.height]);
    } catch {
      original = null;
    }
    return new Picture(original, cutOut);
  }

  close() {
    this.original?.close();
    this.cutOut.close();
  }

  /** Make the person anew from the cut-out, the strokes and the region. */
  edit(strokes, region) {
    this.region = region;
    if (strokes.length < this.drawn) { // one was taken back
      for (const mask of [this.keep, this.drop]) mask.getContext("2d").clearRect(0, 0, this.width, this.height);
      this.drawn = 0;
    }
    for (const stroke of strokes.slice(this.drawn)) {
      const [mine, other] = stroke.kind === "keep" ? [this.keep, this.drop] : [this.drop, this.keep];
      paintStroke(stroke, this.original, mine, other);
    }
    this.drawn = strokes.length;
    this.makePerson();
  }

  makePerson() {
    const context = this.person.getContext("2d");
    context.globalCompositeOperation = "copy";
    context.drawImage(this.cutOut, 0, 0);
    if (this.drawn && this.original) {
      context.globalCompositeOperation = "source-over";
      context.drawImage(this.masked(this.original, this.keep), 0, 0);
      context.globalCompositeOperation = "destination-out";
      context.drawImage(this.drop, 0, 0);
    }
    if (this.region) {
      const { left, top, width, height } = this.region;
      context.globalCompositeOperation = "destination-in";
      context.fillRect(left * this.width, top * this.height, width * this.width, height * this.height);
    }
    context.globalCompositeOperation = "source-over";
    this.room = null;
  }

  masked(source, mask) {
    const made = canvas(this.width, this.height);
    const context = made.getContext("2d");
    context.drawImage(source, 0, 0);
    context.globalCompositeOperation = "destination-in";
    context.drawImage(mask, 0, 0);
    return made;
  }

  /** The matte as white on black, on a canvas of its own. */
  matte() {
    const made = canvas(this.width, this.height);
    const context = made.getContext("2d");
    context.drawImage(this.person, 0, 0);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = "#fff";
    context.fillRect(0, 0, this.width, this.height);
    context.globalCompositeOperation = "destination-over";
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.width, this.height);
    return made;
  }
}
