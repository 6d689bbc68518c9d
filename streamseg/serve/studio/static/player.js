// A film in a video element that is not shown: its frames are taken from it.

import { el } from "./dom.js";

/** A video element that has the film open and shows nothing; null where the browser cannot read it. */
export function opened(file) {
  return new Promise((resolve) => {
    const player = el("video", { muted: true, preload: "auto", playsInline: true });
    player.onloadeddata = () => resolve(player);
    player.onerror = () => { closed(player); resolve(null); };
    player.src = URL.createObjectURL(file);
  });
}

export function closed(player) {
  if (!player) return;
  URL.revokeObjectURL(player.src);
  player.removeAttribute("src");
  player.load();
}

/**
 * Have the player hold the frame at so many seconds. It is sought even where it should be there already: a frame that
 * was drawn right after "loadeddata" came out blank once, on a busy machine.
 */
export function frameAt(player, at) {
  return new Promise((resolve, reject) => {
    player.onseeked = () => resolve();
    player.onerror = () => reject(new Error("this frame cannot be read"));
    player.currentTime = Math.min(at, Math.max(0, player.duration - 0.05));
  });
}
