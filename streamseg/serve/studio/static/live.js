// The live tab: the browser's camera to the server and back, by WebRTC, or by a WebSocket where that is closed.
// No timer runs: figures come from the server once a second, frames when the camera has one.

import { $, alertUser, passFocus, radios, saveAs, size } from "./dom.js";
import { call } from "./api.js";
import { canvas, decoded } from "./picture.js";
import { VirtualCamera } from "./virtual.js";
import { PeerWay, SocketWay } from "./ways.js";

const BACKGROUNDS = [["blur", "Blur"], ["colour", "Colour"], ["picture", "Picture"]];
const WANTED = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
const LONGEST_SIDE = 1920;   // of a background picture

export class Live {
  constructor() {
    this.connection = null;
    this.stream = null;
    this.recorder = null;
    this.picture = null;
    this.virtual = new VirtualCamera();
    this.settings = { background: "blur", blur: 0.5, mirror: false, follow: false };
    radios($("live-backgrounds"), "live-background", BACKGROUNDS, "blur", (kind) => this.choose(kind));
    this.kind = "blur";
    $("live-start").addEventListener("click", () => this.start());
    $("live-stop").addEventListener("click", () => this.stop("Stopped."));
    $("live-record").addEventListener("click", () => this.record());
    $("live-colour").addEventListener("input", () => this.set({ background: $("live-colour").value }));
    $("live-blur").addEventListener("input", () => this.set({ blur: $("live-blur").value / 100 }));
    $("live-mirror").addEventListener("change", () => this.set({ mirror: $("live-mirror").checked }));
    $("live-follow").addEventListener("change", () => this.set({ follow: $("live-follow").checked }));
    $("live-choose-picture").addEventListener("click", () => $("live-picture").click());
    $("live-picture").addEventListener("change", () => this.takePicture());
  }

  /** The tab is shown, or no longer. */
  shown(on) {
    if (!on) return;
    this.listCameras();
    this.virtual.list();
  }

  async listCameras() {
    const media = navigator.mediaDevices;
    if (!media) {
      $("live-start").disabled = true;
      this.say("The browser gives a page its camera only over https, or from this machine itself.");
      return;
    }
    const cameras = (await media.enumerateDevices()).filter((one) => one.kind === "videoinput" && one.deviceId);
    const before = $("live-camera").value;
    $("live-camera").replaceChildren(new Option("The usual one", ""),
      ...cameras.map((one, number) => new Option(one.label || `Camera ${number + 1}`, one.deviceId)));
    if (cameras.some((one) => one.deviceId === before)) $("live-camera").value = before;
  }

  choose(kind) {
    this.kind = kind;
    for (const one of ["colour", "blur", "picture"]) $(`live-${one}-row`).hidden = one !== kind;
    if (kind === "blur") this.set({ background: "blur" });
    else if (kind === "colour") this.set({ background: $("live-colour").value });
    else if (this.picture) this.sendPicture().catch((error) => alertUser(`The picture is not behind you: ${error.message}`));
  }

  set(changes) {
    Object.assign(this.settings, changes);
    this.connection?.tell(changes);
  }

  async takePicture() {
    const [file] = $("live-picture").files;
    $("live-picture").value = "";
    if (!file) return;
    try {
      this.picture = await smallPicture(file);
      $("live-picture-name").textContent = file.name;
      await this.sendPicture();
    } catch (error) {
      alertUser(`${file.name}: ${error.message}`);
    }
  }

  async sendPicture() {
    if (!this.connection?.id) return; // it is sent when the camera starts
    await call(`v1/live/${encodeURIComponent(this.connection.id)}/background`,
      { method: "PUT", body: this.picture, headers: { "Content-Type": "image/jpeg" } });
  }

  async start() {
    $("live-start").disabled = true;
    this.say("Asking for the camera.");
    try {
      const camera = $("live-camera").value;
      this.stream = await navigator.mediaDevices.getUserMedia(
        { video: camera ? { ...WANTED, deviceId: { exact: camera } } : WANTED, audio: false });
      this.say("Connecting.");
      const Way = $("live-way").value === "socket" ? SocketWay : PeerWay;
      this.connection = new Way(this.stream, this);
      const { connection } = this;
      await connection.open({ ...this.size(), ...this.settings });
      if (this.connection !== connection) return; // it has ended already, and was told why
      if (this.kind === "picture" && this.picture) await this.sendPicture();
      this.listCameras(); // their names are known once the user has allowed one
      $("live-empty").hidden = true;
      $("live-stop").disabled = $("live-record").disabled = false;
      this.virtual.of(this.connection.id);
      $("live-stop").focus();
      this.say("Live.");
    } catch (error) {
      this.stop(failed(error));
    }
  }

  size() {
    const { width, height, frameRate } = this.stream.getVideoTracks()[0].getSettings();
    return { width, height, rate: frameRate };
  }

  stop(why) {
    if (this.recorder) this.record();
    const focus = document.activeElement;
    const { connection, stream } = this;
    this.connection = this.stream = null;
    this.virtual.of(null);
    connection?.close();
    for (const track of stream?.getTracks() ?? []) track.stop();
    $("live-video").srcObject = null;
    $("live-empty").hidden = false;
    $("live-canvas").hidden = true;
    $("live-video").hidden = false;
    $("live-figures").hidden = true;
    $("live-busy").textContent = "";
    $("live-start").disabled = false;
    $("live-stop").disabled = $("live-record").disabled = true;
    // the body has it where it was lost as the camera was asked for
    passFocus(focus, [$("live-stop"), $("live-record"), document.body], $("live-start"));
    this.say(why);
  }

  say(text) { $("live-state").textContent = text; }

  /** What the server says: figures once a second, and notes. */
  async heard(message) {
    if (message.note) this.say(message.note);
    if (message.virtual_camera) this.virtual.ended(message.virtual_camera.end);
    if (message.end) this.stop(message.end);
    if (!message.stats || !this.connection) return;
    const { fps, latency_ms: latency, width, height, step } = message.stats;
    const way = await this.connection.delay();
    $("live-figures").hidden = false;
    $("figure-fps").textContent = fps.toFixed(1);
    $("figure-latency").textContent = latency.p50 === null ? "-" : `${latency.p50.toFixed(0)} ms (95 %: ${latency.p95.toFixed(0)})`;
    $("figure-way").textContent = way === null ? "-" : `${way.toFixed(0)} ms`;
    $("figure-size").textContent = `${width} × ${height}`;
    $("live-busy").textContent = step === "full" ? "" : `The machine is busy, so quality is lowered: ${step}.`;
  }

  record() {
    const button = $("live-record");
    if (this.recorder) {
      this.recorder.stop();
      this.recorder = null;
    } else {
      const stream = $("live-canvas").hidden ? $("live-video").srcObject : $("live-canvas").captureStream();
      const recorder = new MediaRecorder(stream);
      const parts = [];
      let bytes = 0;
      recorder.ondataavailable = ({ data }) => {
        parts.push(data);
        bytes += data.size;
        if (this.recorder === recorder && bytes) this.say(`Recording: ${size(bytes)}.`);
      };
      recorder.onstop = () => {
        if (!bytes) return alertUser("Nothing was recorded: it was stopped before the first picture.");
        const type = recorder.mimeType.split(";")[0];
        saveAs(new Blob(parts, { type }), `streamseg-live.${type.endsWith("mp4") ? "mp4" : "webm"}`);
        this.say("The recording is saved.");
      };
      recorder.start(1000);
      this.connection.begin();
      this.recorder = recorder;
    }
    button.setAttribute("aria-pressed", String(this.recorder !== null));
    button.textContent = this.recorder ? "Stop recording" : "Record";
  }
}

async function smallPicture(file) {
  const bitmap = await decoded(file);
  const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const small = canvas(Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
  const context = small.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, small.width, small.height);
  bitmap.close();
  return new Promise((resolve) => small.toBlob(resolve, "image/jpeg", 0.92));
}

function failed(error) {
  if (error.name === "NotAllowedError") return "The camera was not allowed. Allow it in the browser, then start again.";
  if (error.name === "NotFoundError") return "No camera was found.";
  if (error.name === "OverconstrainedError") return "This camera is not there any more. Choose another.";
  if (error.name === "NotReadableError") return "The camera is in use by another program.";
  return error.message || `The camera cannot be used: ${error.name}.`; // some of the browser's errors have no text
}
