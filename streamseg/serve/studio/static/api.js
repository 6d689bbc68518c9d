// The server's HTTP API, as the page uses it. Addresses are relative, so that a proxy may put a path before them.
// A server with a token gives it to the page as a cookie, which the browser sends by itself.

const PART = 8 << 20; // bytes of a film that are sent at once
const TRIES = 6;      // times in a row that a part is sent again, or a job's events are asked for
const ENDED = ["done", "failed"];
const SILENT = "The server does not answer. Is it still running?";

/** What the server answered instead of what was asked for. */
export class ApiError extends Error {
  constructor(message, status, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** fetch that turns every answer but a good one into an ApiError. */
export async function call(path, init = {}) {
  let answer;
  try {
    answer = await fetch(path, init);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(SILENT, 0);
  }
  if (answer.ok) return answer;
  throw refused(answer.status, answer.headers.get("Retry-After"), await answer.text());
}

function refused(status, retryAfter, text) {
  const retry = Number.parseFloat(retryAfter);
  return new ApiError(said(text) || `The server answered ${status}.`, status, Number.isFinite(retry) ? retry : null);
}

/** The message in an error's body, whichever of the usual forms it has. */
function said(text) {
  let body;
  try { body = JSON.parse(text); } catch { return text.slice(0, 300); }
  const detail = body.error?.message ?? body.error ?? body.detail ?? body.errors?.[0]?.title ?? body.message;
  if (Array.isArray(detail)) return detail.map((item) => item.msg ?? String(item)).join("; ");
  return typeof detail === "string" ? detail : "";
}

function form(file, fields) {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== "") data.append(name, one);
    }
  }
  if (file) data.append("file", file, file.name || "picture.png");
  return data;
}

/** The cut-out of a picture as the server gives it, file: a PNG with transparency; nobody: whether nobody was found. */
export async function cutOut(file, signal) {
  const answer = await call("v1/pictures", {
    method: "POST", body: form(file, { background: "none", format: "png" }), signal,
  });
  return { file: await answer.blob(), nobody: ["none", "grey"].includes(answer.headers.get("X-Subject")) };
}

/** A job that waits for a film of `bytes`; its id. fields: options by their names, and outputs. */
export async function newJob(bytes, fields, signal) {
  const answer = await call("v1/jobs", { method: "POST", body: form(null, { ...fields, size: bytes }), signal });
  return (await answer.json()).id;
}

/**
 * Send a job's film in parts, from what the server has of it: where the connection breaks off, it goes on from the last
 * byte that arrived. onProgress(share of the film that is there).
 */
export async function sendFilm(id, file, onProgress, signal) {
  await sendParts(file, jobAddress(id, "upload"), onProgress, signal);
}

/** Bytes that the server has of a job's film. */
export async function sentOf(id) {
  return Number((await call(jobAddress(id, "upload"), { method: "HEAD" })).headers.get("Upload-Offset"));
}

async function sendParts(file, address, onProgress, signal) {
  let offset = await received(address, 0, signal);
  let failures = 0;
  do { // an empty part where all is there, and the server has not been told so
    const part = file.slice(offset, offset + PART);
    try {
      await sendPart(part, address, offset, (sent) => onProgress((offset + sent) / file.size), signal);
      offset += part.size;
      failures = 0;
    } catch (error) {
      if (error.status === 409 && offset === file.size) return; // it was told, and only its answer was lost
      if (error.name === "AbortError" || !(error.status === 0 || error.status === 409) || ++failures > TRIES) throw error;
      await pause(1000 * 2 ** failures, signal);
      offset = await received(address, offset, signal);
    }
  } while (offset < file.size || failures);
}

/** How much of a film the server has; where it does not answer, what is known. */
async function received(address, known, signal) {
  try {
    return Number((await call(address, { method: "HEAD", signal })).headers.get("Upload-Offset"));
  } catch (error) {
    if (error.status === 0) return known;
    throw error;
  }
}

/** XMLHttpRequest, because fetch does not tell how far an upload is. */
function sendPart(part, address, offset, onSent, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    request.open("PATCH", address);
    request.setRequestHeader("Content-Type", "application/offset+octet-stream");
    request.setRequestHeader("Upload-Offset", offset);
    request.upload.onprogress = (event) => onSent(event.loaded);
    request.onerror = () => reject(new ApiError(SILENT, 0));
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    request.onload = () => (request.status < 300 ? resolve()
      : reject(refused(request.status, request.getResponseHeader("Retry-After"), request.responseText)));
    request.onloadend = () => signal.removeEventListener("abort", stop);
    signal.addEventListener("abort", stop);
    if (signal.aborted) return reject(new DOMException("stopped", "AbortError"));
    request.send(part);
  });
}

const pause = (milliseconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, milliseconds);
  signal.addEventListener("abort", () => { clearTimeout(timer); reject(new DOMException("stopped", "AbortError")); },
    { once: true });
});

const jobAddress = (id, rest) => `v1/jobs/${encodeURIComponent(id)}/${rest}`;

export const job = async (id) => (await call(`v1/jobs/${encodeURIComponent(id)}`)).json();

export const endJob = (id) => call(`v1/jobs/${encodeURIComponent(id)}`, { method: "DELETE" });

export const previewAddress = (id, number) => jobAddress(id, `previews/${number}`);

export const outputAddress = (id, name) =>
  `v1/jobs/${encodeURIComponent(id)}/outputs/${encodeURIComponent(name)}`;

/**
 * The events of a job, one object each, until it has ended or was deleted. Where the connection breaks off, or the
 * server ends and is started again, they are asked for anew; null comes each time before that.
 */
export async function* jobEvents(id, signal) {
  for (let failures = 0; ; failures += 1) {
    try {
      for await (const event of eventsUntilTheyBreak(id, signal)) {
        yield event;
        if (ENDED.includes(event.state)) return;
        failures = 0;
      }
    } catch (error) {
      if (error.status === 404) return;
      if (!(error instanceof TypeError || [0, 503].includes(error.status))) throw error;
      if (failures === TRIES) throw new ApiError(SILENT, 0);
    }
    yield null;
    await pause(1000 * 2 ** failures, signal);
  }
}

/** Read by fetch: an EventSource cannot tell the server's end from a failure. Rejects with TypeError at a break. */
async function* eventsUntilTheyBreak(id, signal) {
  const answer = await call(`v1/jobs/${encodeURIComponent(id)}/events`,
    { headers: { Accept: "text/event-stream" }, signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (waiting + value.replaceAll("\r\n", "\n")).split("\n\n");
    waiting = parts.pop();
    for (const part of parts) {
      const data = part.split("\n").filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trimStart()).join("\n");
      if (data) yield JSON.parse(data);
    }
  }
}
