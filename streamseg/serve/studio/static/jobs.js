// What the server is asked for when a film is made: its jobs, as the fields of POST /v1/jobs.

import { stem } from "./dom.js";

// What a film is for: the extension decides the codec (VP9 and ProRes 4444 where there is transparency)
export const PURPOSES = {
  call: { ending: "call.mp4", words: "For a call or a page (.mp4)", transparent: false },
  web: { ending: "web.webm", words: "For the web, transparent (.webm)", transparent: true },
  editor: { ending: "editor.mov", words: "For an editor, transparent (.mov)", transparent: true },
};

/**
 * The fields of the jobs that make what a film is for. One job is one inference: its results all have the background
 * that is chosen, and beside them it makes one cut-out. Only where two transparent ones and an opaque one are wanted
 * are there two jobs.
 */
export function jobsFor(drawn, { start, duration, purposes }, background) {
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

/** What was drawn on a film's frames, as options of the job: the server carries strokes along with the motion. */
export function drawnOn(item) {
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
