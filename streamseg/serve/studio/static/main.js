// Puts the page together: files in, the stage for the item that is chosen, backgrounds, saving.

import { $, alertUser, announce, el, passFocus, radios, saveAs, stem, tabs } from "./dom.js";
import { call } from "./api.js";
import { exported } from "./compose.js";
import { Films } from "./film.js";
import { Live } from "./live.js";
import { QueueList } from "./list.js";
import { decoded, Picture } from "./picture.js";
import { droppedFiles, Item, kindOf, Queue } from "./queue.js";
import { Unfinished } from "./unfinished.js";
import { Viewer } from "./viewer.js";
import { zipped } from "./zip.js";

const BACKGROUNDS = [["none", "Transparent"], ["blur", "Blur"], ["colour", "Colour"], ["picture", "Picture"]];
const SWATCHES = [["#ffffff", "White"], ["#1b1b1b", "Black"], ["#00b140", "Green"], ["#2b59c3", "Blue"],
  ["#e0b13a", "Yellow"], ["#b8434e", "Red"]];

const queue = new Queue();
const background = { kind: "none", colour: $("colour").value, blur: 0.5, picture: null, file: null };
const viewer = new Viewer(() => background);
const films = new Films(queue, () => background, stillChanged);
const live = new Live();
const unfinished = new Unfinished();
let chosen = null;   // the item on the stage
let opening = 0;     // counts, so that a slow decoding does not replace what was chosen since

// --- files come in ---

function take(files) {
  const items = [];
  const refused = [];
  for (const file of files) {
    const kind = kindOf(file);
    const name = file.webkitRelativePath || file.name;
    if (kind) items.push(new Item(file, kind, name));
    else if (!file.name.startsWith(".")) refused.push(name);
  }
  if (refused.length) {
    alertUser(`Neither pictures nor films: ${refused.slice(0, 5).join(", ")}${refused.length > 5 ? ` and ${refused.length - 5} more` : ""}.`);
  }
  if (!items.length) return;
  queue.add(items);
  announce(`${items.length} added to the queue.`);
  if (!chosen) choose(items[0]);
  for (const item of items) {
    const upload = item.kind === "film" && unfinished.take(item.file);
    if (upload) films.resume(item, upload);
  }
}

for (const [button, input] of [["choose", "files"], ["choose-folder", "folder"], ["choose-picture", "picture"]]) {
  $(button).addEventListener("click", () => $(input).click());
}
for (const input of ["files", "folder"]) {
  $(input).addEventListener("change", () => { take([...$(input).files]); $(input).value = ""; });
}

let over = 0; // dragenter and dragleave come for every element under the pointer
const dragging = (on) => document.body.classList.toggle("dragging", on);
const hasFiles = (event) => [...event.dataTransfer.types].includes("Files");
addEventListener("dragenter", (event) => { if (hasFiles(event)) { over += 1; dragging(true); } });
addEventListener("dragleave", (event) => { if (hasFiles(event)) { over -= 1; dragging(over > 0); } });
addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
addEventListener("drop", async (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  over = 0;
  dragging(false);
  take(await droppedFiles(event.dataTransfer));
});
addEventListener("paste", (event) => {
  const files = [...event.clipboardData.files];
  if (files.length) take(files);
});

// --- the queue ---

const list = new QueueList(queue, choose);

queue.addEventListener("changed", (event) => {
  const item = event.detail;
  if (item !== chosen) return;
  if (item.kind === "picture" && item.state === "done" && viewer.item !== item) showResult(item);
  if (item.state === "failed" || item.state === "working") waitFor(item);
});
queue.addEventListener("removed", (event) => {
  if (event.detail === chosen) choose(queue.items[0] ?? null);
});

// --- the stage ---

async function choose(item) {
  chosen = item;
  opening += 1;
  list.choose(item);
  $("stage").hidden = item === null;
  clearViewer();
  if (!item) return films.select(null);
  $("stage-title").textContent = item.name;
  await films.select(item);
  if (item !== chosen) return; // another was chosen while the film was being opened
  if (item.cutOut) await showResult(item);
  else await showWaiting(item);
  drawSave();
}

function clearViewer() {
  $("nobody").hidden = true;
  viewer.picture?.close();
  viewer.show(null, null);
  drawSave();
}

async function showResult(item) {
  const turn = opening;
  const picture = await Picture.open(item.still, item.cutOut).catch((error) => {
    alertUser(`${item.name}: ${error.message}`);
    return null;
  });
  if (!picture) return;
  if (turn !== opening) return picture.close();
  clearViewer();
  viewer.show(item, picture);
  viewer.busy(null);
  $("nobody").hidden = !item.nobody;
  drawSave();
  announce(item.nobody ? `${item.name}: nobody was found.` : `${item.name}: the person is cut out.`);
}

/** The picture as it came, until the cut-out is there. */
async function showWaiting(item) {
  waitFor(item);
  if (item.kind === "film") return;
  const turn = opening;
  const bitmap = await decoded(item.file).catch(() => null);
  if (!bitmap) return;
  if (turn === opening && viewer.item !== item) {
    $("frame").style.setProperty("--ratio", `${bitmap.width} / ${bitmap.height}`);
    $("frame").style.setProperty("--wide", bitmap.width / bitmap.height);
    const after = $("after");
    after.width = bitmap.width;
    after.height = bitmap.height;
    after.getContext("2d").drawImage(bitmap, 0, 0);
  }
  bitmap.close();
}

function waitFor(item) {
  if (viewer.item === item) return;
  if (item.kind === "film") return viewer.busy(null);
  viewer.busy(item.state === "failed" ? item.message : item.message || "Finding the person");
  $("busy").classList.toggle("failed", item.state === "failed");
}

/** A frame of a film is being cut out (text), or is there (null). */
function stillChanged(item, text) {
  if (item !== chosen) return;
  viewer.busy(text);
  $("busy").classList.remove("failed");
  if (text === null && item.cutOut) showResult(item);
}

// --- backgrounds ---

const backgrounds = radios($("backgrounds"), "background", BACKGROUNDS, "none", (kind) => setBackground({ kind }));

function setBackground(changes) {
  Object.assign(background, changes);
  for (const kind of ["colour", "blur", "picture"]) $(`background-${kind}`).hidden = background.kind !== kind;
  viewer.draw();
  drawSave();
  if (chosen?.kind === "film") films.draw();
}

$("colour").addEventListener("input", () => setBackground({ colour: $("colour").value }));
$("blur").addEventListener("input", () => setBackground({ blur: $("blur").value / 100 }));
for (const [colour, name] of SWATCHES) {
  const swatch = el("button", { type: "button", "aria-label": name, title: name });
  swatch.style.setProperty("--swatch", colour);
  swatch.addEventListener("click", () => { $("colour").value = colour; setBackground({ colour }); });
  $("swatches").append(swatch);
}
$("picture").addEventListener("change", async () => {
  const [file] = $("picture").files;
  if (!file) return;
  try {
    const picture = await decoded(file);
    background.picture?.close();
    setBackground({ picture, file });
    $("picture-name").textContent = file.name;
  } catch {
    alertUser(`${file.name} cannot be read as a picture.`);
  }
  $("picture").value = "";
});

// --- saving ---

const untouched = (item) => background.kind === "none" && item.strokes.length === 0 && item.region === null;
const extension = (format) => (format === "jpeg" ? "jpg" : format);

function drawSave() {
  const ready = viewer.picture !== null;
  $("download").disabled = !ready;
  $("format").querySelector("[value=jpeg]").disabled = background.kind === "none";
  if (background.kind === "none" && $("format").value === "jpeg") $("format").value = "png";
  const asItCame = ready && untouched(viewer.item) && $("format").value === "png";
  $("save-hint").textContent = asItCame ? "The file as the server made it." : ready ? "Made from what is shown above." : "";
}

/** The item's picture as it is to be saved: the server's own bytes where nothing was changed. */
async function saved(item, picture) {
  const format = $("format").value;
  if (untouched(item) && format === "png") return item.cutOut;
  const used = picture ?? await Picture.open(item.still, item.cutOut);
  if (!picture) used.edit(item.strokes, item.region);
  try {
    return await exported(used, background, format);
  } finally {
    if (!picture) used.close();
  }
}

$("format").addEventListener("change", drawSave);
viewer.addEventListener("edited", drawSave);
$("download").addEventListener("click", () => guarded($("download"), async () => {
  const { item, picture } = viewer;
  const at = item.kind === "film" ? `-${item.settings.at.toFixed(2)}s` : "";
  saveAs(await saved(item, picture), `${stem(basename(item.name))}${at}.${extension($("format").value)}`);
}));

$("download-all").addEventListener("click", () => guarded($("download-all"), async () => {
  const files = [];
  const done = queue.items.filter((item) => item.state === "done");
  for (const [place, item] of done.entries()) {
    announce(`Putting ${place + 1} of ${done.length} into the zip file.`);
    if (item.kind === "picture") {
      files.push([`${stem(item.name)}.${extension($("format").value)}`, await saved(item, item === viewer.item ? viewer.picture : null)]);
    } else {
      for (const { name, url } of item.outputs) files.push([name, await (await call(url)).blob()]);
    }
  }
  saveAs(await zipped(files), "streamseg.zip");
}));

$("clear").addEventListener("click", () => {
  for (const item of [...queue.items]) queue.remove(item);
  $("choose").focus();
});

async function guarded(button, work) {
  const focus = document.activeElement;
  button.disabled = true;
  try {
    await work();
  } catch (error) {
    alertUser(error.message);
  } finally {
    button.disabled = false;
    drawSave();
    list.drawCount();
    if (document.activeElement === document.body) passFocus(focus, [button], button);
  }
}

const basename = (name) => name.slice(name.lastIndexOf("/") + 1);

// --- tabs ---

tabs(document.querySelector("[role=tablist]"), (id) => live.shown(id === "tab-live"));
list.drawCount();
setBackground({});
unfinished.look();
