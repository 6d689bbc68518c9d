// The two ways of the camera's pictures to the server and back.

import { $ } from "./dom.js";
import { call } from "./api.js";
import { canvas } from "./picture.js";

const MOST_BITS = 4_000_000;      // a second, to the server
const JPEG = 0.8;                 // quality of the WebSocket's pictures
const UNSENT = 200_000;           // bytes that may wait in the WebSocket before a frame is left out

/** Camera and result as WebRTC tracks; settings and figures through a data channel. */
export class PeerWay {
  constructor(stream, live) {
    this.stream = stream;
    this.live = live;
    this.id = null;
    this.peer = new RTCPeerConnection({ iceServers: [] }); // no server but this one is asked for anything
    this.channel = this.peer.createDataChannel("control");
    this.asked = 0;
  }

  async open(wanted) {
    const { peer, stream, live } = this;
    const [track] = stream.getVideoTracks();
    track.contentHint = "motion";
    const sender = peer.addTransceiver(track, { direction: "sendrecv", streams: [stream],
      sendEncodings: [{ maxBitrate: MOST_BITS }] });
    const codecs = RTCRtpReceiver.getCapabilities("video").codecs;
    sender.setCodecPreferences?.(codecs.filter((one) => /VP8|rtx/i.test(one.mimeType)));
    peer.ontrack = (event) => { $("live-video").srcObject = new MediaStream([event.track]); };
    this.channel.onmessage = (event) => live.heard(JSON.parse(event.data));
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer);
    const answer = await (await call("v1/live", {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ...wanted, sdp: peer.localDescription.sdp, type: peer.localDescription.type }),
    })).json();
    this.id = answer.id;
    await peer.setRemoteDescription({ sdp: answer.sdp, type: answer.type });
    await connected(peer);
    peer.onconnectionstatechange = () => {
      if (["failed", "closed"].includes(peer.connectionState)) live.stop("The connection was lost.");
    };
  }

  tell(settings) {
    if (this.channel.readyState === "open") this.channel.send(JSON.stringify(settings));
    else this.channel.addEventListener("open", () => this.channel.send(JSON.stringify(this.live.settings)), { once: true });
  }

  /** Have a picture come that needs no other before it: a recording begins with one. */
  begin() { this.tell({ keyframe: true }); }

  /**
   * Milliseconds that pictures spend on the way and waiting to be shown; null while it is not known. The server
   * cannot hear the browser ask for a key frame (aiortc keeps that to itself), so it is told here.
   */
  async delay() {
    let there = null;
    let waited = 0;
    let asked = 0;
    for (const item of (await this.peer.getStats()).values()) {
      if (item.type === "candidate-pair" && item.nominated && item.currentRoundTripTime !== undefined) there = 1000 * item.currentRoundTripTime;
      if (item.type === "inbound-rtp" && item.jitterBufferEmittedCount) waited = 1000 * item.jitterBufferDelay / item.jitterBufferEmittedCount;
      if (item.type === "inbound-rtp") asked = (item.pliCount ?? 0) + (item.firCount ?? 0);
    }
    if (asked > this.asked) this.begin();
    this.asked = asked;
    return there === null ? null : there + waited;
  }

  close() {
    this.peer.onconnectionstatechange = null;
    this.peer.close();
    if (this.id) call(`v1/live/${encodeURIComponent(this.id)}`, { method: "DELETE" }).catch(() => {});
  }
}

/** The same as JPEG pictures through a WebSocket: more work for both sides, but one plain connection. */
export class SocketWay {
  constructor(stream, live) {
    this.stream = stream;
    this.live = live;
    this.id = null;
    this.camera = document.createElement("video");
    this.camera.muted = this.camera.playsInline = true;
    this.camera.srcObject = stream;
    this.showing = false;
    this.sentAt = 0;
    this.wayThere = null;
  }

  async open(wanted) {
    const address = new URL("v1/live/socket", document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    this.socket.binaryType = "blob";
    await new Promise((resolve, reject) => {
      this.socket.onopen = () => this.socket.send(JSON.stringify(wanted));
      this.socket.onmessage = (event) => {
        const first = JSON.parse(event.data);
        this.id = first.id;
        if (first.id) resolve();
        else reject(new Error(first.end ?? "The server refused the camera."));
      };
      this.socket.onerror = this.socket.onclose = () => reject(new Error("The server does not take the connection."));
    });
    this.socket.onmessage = (event) => (typeof event.data === "string" ? this.live.heard(JSON.parse(event.data)) : this.show(event.data));
    this.socket.onerror = null;
    this.socket.onclose = () => this.live.stop("The connection was lost.");
    $("live-canvas").hidden = false;
    $("live-video").hidden = true;
    await this.camera.play();
    this.frame = canvas(this.camera.videoWidth, this.camera.videoHeight);
    this.next();
  }

  next() {
    this.camera.requestVideoFrameCallback(() => {
      if (this.socket.readyState !== WebSocket.OPEN) return;
      if (this.socket.bufferedAmount < UNSENT) this.send();
      this.next();
    });
  }

  send() {
    this.frame.getContext("2d").drawImage(this.camera, 0, 0);
    this.frame.toBlob((blob) => this.socket.readyState === WebSocket.OPEN && blob && this.socket.send(blob), "image/jpeg", JPEG);
  }

  async show(blob) {
    if (this.showing) return; // the newest is what counts
    this.showing = true;
    const bitmap = await createImageBitmap(blob).catch(() => null);
    this.showing = false;
    if (!bitmap) return;
    const shown = $("live-canvas");
    if (shown.width !== bitmap.width || shown.height !== bitmap.height) {
      shown.width = bitmap.width;
      shown.height = bitmap.height;
    }
    shown.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
  }

  tell(settings) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(settings));
  }

  begin() {} // every JPEG stands alone

  async delay() { return null; }

  close() {
    if (this.socket) {
      this.socket.onclose = null;
      this.socket.close();
    }
    this.camera.srcObject = null;
  }
}

function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => peer.addEventListener("icegatheringstatechange",
    () => peer.iceGatheringState === "complete" && resolve()));
}

function connected(peer) {
  return new Promise((resolve, reject) => {
    peer.onconnectionstatechange = () => {
      if (peer.connectionState === "connected") resolve();
      if (["failed", "closed"].includes(peer.connectionState)) {
        reject(new Error("WebRTC found no way to the server. Choose WebSocket as the way."));
      }
    };
  });
}
