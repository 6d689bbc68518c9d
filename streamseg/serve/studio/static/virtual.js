// The live tab's switch that shows what is live as a camera of the server's machine too, where that has a virtual
// camera.

import { $ } from "./dom.js";
import { call } from "./api.js";

export class VirtualCamera {
  constructor() {
    this.id = null;         // of the camera that is live; null while none is
    this.on = false;
    this.ends = 0;          // times that the server has told of an end
    this.switching = false;
    $("live-virtual").addEventListener("change", () => this.follow());
  }

  /** Ask the server which there are; without any the switch is hidden. */
  async list() {
    let there = [];
    try {
      there = (await (await call("v1/live")).json()).virtual_cameras;
    } catch { /* a server that does not answer says so when the camera is started */ }
    const select = $("live-virtual-device");
    const before = select.value;
    select.replaceChildren(...there.map(({ id, name }) => new Option(name, id)));
    if (there.some(({ id }) => id === before)) select.value = before;
    $("live-virtual-choice").hidden = there.length < 2;
    $("live-virtual-row").hidden = there.length === 0 && !this.on;
  }

  /** The camera that is live now, by its id; null: none. The server lets a virtual camera go with it. */
  of(id) {
    this.id = id;
    this.show(false, "");
    $("live-virtual").disabled = id === null;
  }

  /** The server had to let it go. */
  ended(why) {
    this.ends += 1;
    this.show(false, `It is off: ${why}`);
  }

  show(on, text) {
    this.on = $("live-virtual").checked = on;
    this.say(text);
  }

  say(text) { $("live-virtual-state").textContent = text; }

  /** Do what the switch says, and again where it was moved meanwhile: it is never disabled, which would lose the focus. */
  async follow() {
    if (this.switching) return;
    this.switching = true;
    while (this.id !== null && $("live-virtual").checked !== this.on) await this.set(this.id, !this.on);
    this.switching = false;
  }

  async set(id, on) {
    const { ends } = this;
    const address = `v1/live/${encodeURIComponent(id)}/virtual-camera`;
    try {
      const text = on ? await switchedOn(address) : await switchedOff(address);
      if (this.id !== id || this.ends !== ends) return; // over, or it ended before the answer came
      this.on = on;
      this.say(text);
    } catch (error) {
      if (this.id === id) this.show(this.on, error.message);
    }
  }
}

async function switchedOn(address) {
  const answer = await call(address, { method: "PUT", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ device: $("live-virtual-device").value }) });
  return `On: choose “${(await answer.json()).name}” as the camera in the call.`;
}

async function switchedOff(address) {
  await call(address, { method: "DELETE" });
  return "Off.";
}
