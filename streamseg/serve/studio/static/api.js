// The server's HTTP API, as the page uses it. Addresses are relative, so that a proxy may put a path before them.
// A server with a token gives it to the page as a cookie, which the browser sends by itself.

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
    throw new ApiError("The server does not answer. Is it still running?", 0);
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
  data.append("file", file, file.name || "picture.png");
  return data;
}

/** The cut-out of a picture as the server gives it: a PNG with transparency. */
export async function cutOut(file, signal) {
  const answer = await call("v1/pictures", {
    method: "POST", body: form(file, { background: "none", format: "png" }), signal,
  });
  return answer.blob();
}

/**
 * Send a film. fields: options by their names, and outputs. onProgress(share of the upload that is done).
 * XMLHttpRequest, because fetch does not tell how far an upload is.
 */
export function startJob(file, fields, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "v1/jobs");
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () => reject(new ApiError("The server does not answer. Is it still running?", 0));
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) return resolve(JSON.parse(request.responseText));
      return reject(refused(request.status, request.getResponseHeader("Retry-After"), request.responseText));
    };
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form(file, fields));
  });
}

export const job = async (id) => (await call(`v1/jobs/${encodeURIComponent(id)}`)).json();

export const endJob = (id) => call(`v1/jobs/${encodeURIComponent(id)}`, { method: "DELETE" });

export const outputAddress = (id, name) =>
  `v1/jobs/${encodeURIComponent(id)}/outputs/${encodeURIComponent(name)}`;

/**
 * The events of a job, one object each, until the server ends them. Read by fetch: an EventSource cannot tell
 * the server's end from a failure, and would ask again.
 */
export async function* jobEvents(id, signal) {
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
