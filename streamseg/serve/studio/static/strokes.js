// Strokes: "this too" and "not that". A stroke is
//   { kind: "keep" | "drop", radius, points: [[x, y], ...], edges }
// in pixels of the picture. It is kept as numbers, so that it can be taken back.

const SAMPLES = 24;     // colours of the picture that are looked at along a stroke
const ALIKE = 26;       // distance in RGB (0..255 each) up to which a pixel belongs to the stroke
const DIFFERENT = 62;   // and from which on it does not
const CORE = 0.35;      // of the radius: what the pointer itself went over always belongs to the stroke

/** Draw the line of a stroke. */
export function drawLine(context, stroke, radius = stroke.radius) {
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = 2 * radius;
  context.beginPath();
  const [first, ...rest] = stroke.points;
  context.moveTo(...first);
  context.lineTo(first[0] + 0.01, first[1]); // a single point is a dot
  for (const point of rest) context.lineTo(...point);
  context.stroke();
}

/** Add the stroke to the mask ``mine`` and take it from ``other``, so that the last stroke holds. */
export function paintStroke(stroke, original, mine, other) {
  const box = bounds(stroke, mine.width, mine.height);
  if (!box) return;
  const patch = document.createElement("canvas");
  patch.width = box.width;
  patch.height = box.height;
  const context = patch.getContext("2d", { willReadFrequently: true });
  context.translate(-box.left, -box.top);
  drawLine(context, stroke);
  if (stroke.edges && original) {
    keepAlike(context, stroke, original, box);
    drawLine(context, stroke, Math.max(0.5, CORE * stroke.radius));
  }
  mine.getContext("2d").drawImage(patch, box.left, box.top);
  const gone = other.getContext("2d");
  gone.globalCompositeOperation = "destination-out";
  gone.drawImage(patch, box.left, box.top);
  gone.globalCompositeOperation = "source-over";
}

function bounds(stroke, width, height) {
  const xs = stroke.points.map((point) => point[0]);
  const ys = stroke.points.map((point) => point[1]);
  const reach = stroke.radius + 2;
  const left = Math.max(0, Math.floor(Math.min(...xs) - reach));
  const top = Math.max(0, Math.floor(Math.min(...ys) - reach));
  const right = Math.min(width, Math.ceil(Math.max(...xs) + reach));
  const bottom = Math.min(height, Math.ceil(Math.max(...ys) + reach));
  return right > left && bottom > top ? { left, top, width: right - left, height: bottom - top } : null;
}

/** Make the patch transparent where the picture's colour is none of those that the pointer went over. */
function keepAlike(context, stroke, original, box) {
  const look = document.createElement("canvas");
  look.width = box.width;
  look.height = box.height;
  const looking = look.getContext("2d", { willReadFrequently: true });
  looking.drawImage(original, -box.left, -box.top);
  const colours = looking.getImageData(0, 0, box.width, box.height).data;
  const samples = samplesOf(stroke, colours, box);
  const mask = context.getImageData(0, 0, box.width, box.height);
  for (let at = 0; at < mask.data.length; at += 4) {
    if (!mask.data[at + 3]) continue;
    let nearest = Infinity;
    for (const [red, green, blue] of samples) {
      const away = (colours[at] - red) ** 2 + (colours[at + 1] - green) ** 2 + (colours[at + 2] - blue) ** 2;
      if (away < nearest) nearest = away;
    }
    const share = Math.min(1, Math.max(0, (DIFFERENT - Math.sqrt(nearest)) / (DIFFERENT - ALIKE)));
    mask.data[at + 3] = Math.round(mask.data[at + 3] * share);
  }
  context.putImageData(mask, 0, 0);
}

function samplesOf(stroke, colours, box) {
  const step = Math.max(1, Math.floor(stroke.points.length / SAMPLES));
  const found = [];
  for (let number = 0; number < stroke.points.length; number += step) {
    const x = Math.round(stroke.points[number][0]) - box.left;
    const y = Math.round(stroke.points[number][1]) - box.top;
    if (x < 0 || y < 0 || x >= box.width || y >= box.height) continue;
    const at = 4 * (y * box.width + x);
    found.push([colours[at], colours[at + 1], colours[at + 2]]);
  }
  return found;
}
