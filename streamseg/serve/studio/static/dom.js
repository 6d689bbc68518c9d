// Small helpers for the page's elements. Nothing here knows of pictures.

export const $ = (id) => document.getElementById(id);

/** An element with properties, attributes (names with a "-" and role) and children. */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "role" || name.includes("-")) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** Tell users of a screen reader what happened, without moving the focus. */
export function announce(text) {
  $("status").textContent = text;
}

/** Show an error until it is closed. */
export function alertUser(text) {
  const box = el("div", { className: "alert" }, el("p", {}, text));
  const close = el("button", { type: "button", "aria-label": "Close this message" }, "×");
  close.addEventListener("click", () => {
    box.remove();
    ($("alerts").querySelector("button") ?? $("main")).focus({ preventScroll: true });
  });
  box.append(close);
  $("alerts").append(box);
}

/** Where one of `going`, which were hidden or disabled, had the focus (`had`), `next` gets it: it would be lost. */
export function passFocus(had, going, next) {
  if (going.includes(had)) next.focus({ preventScroll: true });
}

/**
 * A group of radio buttons that look like one bar. The browser gives them their keys.
 * choices: [[value, label], ...]; onChange is called with the new value.
 */
export function radios(box, name, choices, chosen, onChange) {
  for (const [value, label] of choices) {
    const input = el("input", { type: "radio", name, value, checked: value === chosen });
    input.addEventListener("change", () => input.checked && onChange(value));
    box.append(el("label", {}, input, el("span", {}, label)));
  }
  return {
    get value() { return box.querySelector("input:checked").value; },
    set(value) {
      const input = box.querySelector(`input[value="${value}"]`);
      if (!input.checked) { input.checked = true; onChange(value); }
    },
    enable(value, on) { box.querySelector(`input[value="${value}"]`).disabled = !on; },
  };
}

/** The tabs of the page: arrow keys move between them, as the pattern of WAI-ARIA asks. */
export function tabs(list, onChange) {
  const all = [...list.querySelectorAll("[role=tab]")];
  const show = (tab) => {
    for (const other of all) {
      const on = other === tab;
      other.setAttribute("aria-selected", String(on));
      other.tabIndex = on ? 0 : -1;
      $(other.getAttribute("aria-controls")).hidden = !on;
    }
    onChange(tab.id);
  };
  for (const [place, tab] of all.entries()) {
    tab.addEventListener("click", () => show(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = all[(place + step + all.length) % all.length];
      next.focus();
      show(next);
    });
  }
}

/** Hand a Blob or an address to the user as a file. */
export function saveAs(source, name) {
  const url = typeof source === "string" ? source : URL.createObjectURL(source);
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  // the browser has begun to read by then; a Blob that is never let go stays in memory
  if (typeof source !== "string") setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export const stem = (name) => name.replace(/\.[^.]*$/, "") || name;

export const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

export function seconds(value) {
  if (!Number.isFinite(value)) return "";
  const whole = Math.max(0, Math.round(value));
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
