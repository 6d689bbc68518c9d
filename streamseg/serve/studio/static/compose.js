// The person over a new background, on a canvas: no new inference, so every choice is seen at once.
// background: { kind: "none" | "blur" | "colour" | "picture", colour, blur: 0..1, picture: ImageBitmap | null }

import { canvas } from "./picture.js";

const WIDEST = 0.05;    // the strongest blur's sigma, as a share of the picture's longer side
const SMALL = 4;        // the room is blurred so small that its sigma has about so many pixels
const FILLING = 12;     // the hole of the person is filled by laying the blurred room over itself so often

/** Draw the picture with its new background on ``target``, which gets the picture's size. */
export function compose(target, picture, background) {
  if (target.width !== picture.width || target.height !== picture.height) {
    target.width = picture.width;
    target.height = picture.height;
  }
  const context = target.getContext("2d");
  context.clearRect(0, 0, target.width, target.height);
  context.imageSmoothingQuality = "high";
  if (background.kind === "colour") {
    context.fillStyle = background.colour;
    context.fillRect(0, 0, target.width, target.height);
  } else if (background.kind === "picture" && background.picture) {
    cover(context, background.picture, target.width, target.height);
  } else if (background.kind === "blur") {
    const room = blurredRoom(picture, background.blur);
    for (let time = 0; time < 2; time += 1) { // a scaled picture may have an alpha of 254
      context.drawImage(room, 0, 0, target.width, target.height);
    }
  }
  context.drawImage(picture.person, 0, 0);
}

/** The composite as a file. JPEG holds no transparency: what is transparent becomes white there. */
export function exported(picture, background, format) {
  const made = canvas(picture.width, picture.height);
  compose(made, picture, background);
  if (format === "jpeg") {
    const context = made.getContext("2d");
    context.globalCompositeOperation = "destination-over";
    context.fillStyle = "#fff";
    context.fillRect(0, 0, made.width, made.height);
  }
  return new Promise((resolve, reject) => made.toBlob(
    (blob) => (blob ? resolve(blob) : reject(new Error("The browser cannot save a picture of this size."))),
    `image/${format}`, 0.92));
}

function cover(context, source, width, height) {
  const scale = Math.max(width / source.width, height / source.height);
  const [wide, high] = [width / scale, height / scale];
  context.drawImage(source, (source.width - wide) / 2, (source.height - high) / 2, wide, high,
    0, 0, width, height);
}

/**
 * The room behind the person, blurred, with nothing of the person in it: the person is cut out first. What is
 * blurred then is premultiplied and thin in the hole; laid over itself it becomes colour / alpha everywhere.
 */
function blurredRoom(picture, strength) {
  if (picture.room?.strength === strength) return picture.room.canvas;
  const sigma = Math.max(0.5, strength * WIDEST * Math.max(picture.width, picture.height));
  const scale = Math.min(1, SMALL / sigma);
  const width = Math.max(8, Math.round(picture.width * scale));
  const height = Math.max(8, Math.round(picture.height * scale));
  const room = canvas(width, height);
  const context = room.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(picture.original ?? picture.cutOut, 0, 0, width, height);
  context.globalCompositeOperation = "destination-out";
  for (let time = 0; time < 3; time += 1) context.drawImage(picture.person, 0, 0, width, height);
  const soft = softened(room, sigma * scale);
  const filled = canvas(width, height);
  const filling = filled.getContext("2d");
  // a wide blur lies below, for the middle of the hole, where the narrow one has nothing
  for (const layer of [softened(room, 6 * sigma * scale), soft]) {
    for (let time = 0; time < FILLING; time += 1) filling.drawImage(layer, 0, 0);
  }
  filling.globalCompositeOperation = "destination-over"; // and what is deeper still is never transparent
  const all = canvas(width, height);
  all.getContext("2d").drawImage(picture.original ?? picture.cutOut, 0, 0, width, height);
  for (const layer of [softened(all, 6 * sigma * scale), all, all]) filling.drawImage(layer, 0, 0);
  picture.room = { strength, canvas: filled };
  return filled;
}

function softened(source, sigma) {
  const made = canvas(source.width, source.height);
  const context = made.getContext("2d");
  context.imageSmoothingQuality = "high";
  if ("filter" in context) {
    context.filter = `blur(${sigma}px)`;
    context.drawImage(source, 0, 0);
    return made;
  }
  // Safari has no filter: make it smaller, and larger again
  const small = canvas(Math.max(2, Math.round(source.width / sigma)), Math.max(2, Math.round(source.height / sigma)));
  small.getContext("2d").drawImage(source, 0, 0, small.width, small.height);
  context.drawImage(small, 0, 0, made.width, made.height);
  return made;
}
