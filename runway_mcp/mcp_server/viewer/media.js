/**
 * The outputs of a task.
 *
 * @typedef {{index: number, url: string, kind: "video" | "image" | "audio" | "file", poster: string | null}} Output
 */

/** Origins that the host's content security policy has blocked. */
const blocked = new Set();
document.addEventListener("securitypolicyviolation", ({ blockedURI }) => {
  const url = safeUrl(blockedURI);
  if (url) blocked.add(new URL(url).origin);
});
/** The event about a blocked address may come after the element's own error. */
const VIOLATION_MS = 50;

/** @param {any} task @param {string} type @returns {Output[]} Outputs without a safe address are left out. */
function outputsOf(task, type) {
  const urls = Array.isArray(task.output) ? task.output : [];
  const posters = Array.isArray(task.previewUrls) && task.previewUrls.length === urls.length ? task.previewUrls : [];
  return urls.flatMap((/** @type {any} */ address, /** @type {number} */ at) => {
    const url = safeUrl(address);
    return url ? [{ index: at + 1, url, kind: kindOf(url, type), poster: safeUrl(posters[at]) }] : [];
  });
}

/**
 * @param {Output} output
 * @param {{alt: string, refresh: () => Promise<any>, measured?: (facts: string[]) => void, isTile?: boolean}} options
 *   `refresh` fetches fresh links. A tile is a button, which can hold no link.
 */
function player({ url, kind, index, poster }, { alt, refresh, measured, isTile }) {
  const label = alt || `Output ${index}`;
  if (kind === "file") return fallback(url, "This file can't be shown here.");
  const common = { src: url, error: failed };
  const playing = { controls: true, preload: "metadata", playsinline: true, poster, loadedmetadata: measure };
  const media =
    kind === "image"
      ? make("img", { ...common, alt: label, load: measure })
      : make(kind, { ...common, ...playing, "aria-label": label });

  function measure() {
    const [width, height] = [media.naturalWidth ?? media.videoWidth, media.naturalHeight ?? media.videoHeight];
    const seconds = numberOf(media.duration);
    const length = seconds === null ? "" : `${number(seconds, 1)} s`;
    measured?.([width ? `${width} × ${height}` : "", length].filter(Boolean));
  }

  async function failed() {
    await new Promise((resolve) => setTimeout(resolve, VIOLATION_MS));
    const { origin, hostname, host } = new URL(url);
    if (blocked.has(origin)) {
      replace(`Your app doesn't let this view load media from ${host}.`);
    } else {
      await refresh();
      if (!media.isConnected) return; // a fresh link has taken its place
      const reason =
        hostname === "sandbox.localhost"
          ? "The sandbox keeps its files inside the server. Save writes them to disk."
          : "The file can't be loaded. Its link may have expired, or this computer is offline.";
      replace(reason);
    }
  }

  /** @param {string} reason */
  function replace(reason) {
    media.replaceWith(isTile ? icon("file") : fallback(url, reason));
  }
  return media;
}

/** @param {string} url @param {string} reason */
function fallback(url, reason) {
  return make("div", { class: "fallback" }, icon("file"), make("p", {}, reason), link(url, "Open the file"));
}

/** @param {string} url @param {string} label */
function link(url, label) {
  const open = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const reply = await request("ui/open-link", { url }).catch(() => null);
    if (reply && !reply.isError) return;
    const opened = window.open(url, "_blank"); // where only the browser can
    if (opened) opened.opener = null;
    else offerText(anchor.parentElement, "Your app doesn't open links. Copy this one:", url);
  };
  const props = { href: url, target: "_blank", rel: "noopener noreferrer", class: "button", click: open };
  const anchor = make("a", props, label);
  return anchor;
}

/**
 * @param {Output[]} outputs
 * @param {{alt: string, refresh: () => Promise<any>, measured: (facts: string[]) => void,
 *   selected: number | null, select: (index: number | null) => void}} options
 */
function outputsView(outputs, options) {
  const at = outputs.findIndex(({ index }) => index === options.selected);
  if (outputs.length === 1) return make("div", { class: `stage ${outputs[0].kind}` }, player(outputs[0], options));
  return at < 0 ? grid(outputs, options) : stage(outputs, at, options);
}

/** @param {Output[]} outputs @param {any} options */
function grid(outputs, options) {
  const tiles = outputs.map((output) => {
    const { index, kind } = output;
    const label = `Output ${index} of ${outputs.length}`;
    const open = () => options.select(index);
    if (kind === "audio" || kind === "file") {
      const shown = player(output, { ...options, alt: label, measured: undefined });
      return make("li", { class: "wide" }, shown, button(label, open, { "data-index": index }));
    }
    const shown = /** @type {Output} */ (output.poster ? { ...output, kind: "image", url: output.poster } : output);
    const picture = player(shown, { ...options, alt: label, measured: undefined, isTile: true });
    picture.removeAttribute("controls");
    const tile = { class: "tile", "data-index": index, "aria-label": `${label}: show in full` };
    return make("li", {}, button(picture, open, tile));
  });
  return make("ul", { class: "grid" }, ...tiles);
}

/** @param {Output[]} outputs @param {number} at @param {any} options */
function stage(outputs, at, options) {
  const move = (/** @type {number} */ by) => options.select(outputs.at((at + by) % outputs.length)?.index ?? null);
  const keydown = (/** @type {KeyboardEvent} */ event) => {
    if (event.target instanceof HTMLMediaElement) return; // its own keys
    if (event.key === "ArrowLeft") move(-1);
    else if (event.key === "ArrowRight") move(1);
    else if (event.key === "Escape") options.select(null);
    else return;
    event.preventDefault();
  };
  const label = `Output ${outputs[at].index} of ${outputs.length}`;
  return make(
    "div",
    { class: `stage ${outputs[at].kind}`, keydown, role: "group", "aria-label": label },
    player(outputs[at], { ...options, alt: options.alt ? `${label}: ${options.alt}` : label }),
    make(
      "div",
      { class: "turn" },
      button(icon("back"), () => move(-1), { class: "button square", "aria-label": "Previous output" }),
      make("span", { class: "quiet" }, `${at + 1} / ${outputs.length}`),
      button(icon("next"), () => move(1), {
        class: "button square",
        "aria-label": "Next output",
        "data-focus": true,
      }),
      button("All outputs", () => options.select(null)),
    ),
  );
}
