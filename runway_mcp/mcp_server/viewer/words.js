/** What is read from results, and how it is said. */

const FINAL = ["SUCCEEDED", "FAILED", "CANCELLED", "DELETED", "UNKNOWN"];
/** @type {Record<string, {label: string, tone: string, text?: string}>} */
const STATUS = {
  STARTING: { label: "Starting", tone: "info" },
  LOADING: { label: "Loading", tone: "info" },
  PENDING: { label: "Pending", tone: "info", text: "Runway has taken the task and begins soon." },
  THROTTLED: {
    label: "Waiting for a slot",
    tone: "warning",
    text: "This is no error: your account runs as many tasks at once as its plan allows. This one begins by itself.",
  },
  RUNNING: { label: "Running", tone: "info" },
  SUCCEEDED: { label: "Finished", tone: "success" },
  FAILED: { label: "Failed", tone: "danger" },
  CANCELLED: { label: "Cancelled", tone: "neutral", text: "The task was stopped. It has no output." },
  DELETED: { label: "Deleted", tone: "neutral", text: "Runway no longer has this task or its output." },
  UNKNOWN: { label: "Unknown", tone: "warning", text: "Nobody saw how this task ended." },
};
/** Failures that the same input can only repeat. */
const NEEDS_CHANGE = /^(SAFETY|ASSET|INPUT_PREPROCESSING\.SAFETY)\b/;
/** What the history keeps of a prompt. */
const PROMPT_LIMIT = 120;
const LONG_TEXT = 400;
/** What the page shows of a text; more only makes it slow. */
const MAX_TEXT = 10_000;

/** @param {string} status */
function statusOf(status) {
  return Object.hasOwn(STATUS, status) ? STATUS[status] : { label: status, tone: "neutral" };
}

/** @param {any} value @returns {Record<string, any>} */
function objectOf(value) {
  if (typeof value === "string") {
    try {
      value = JSON.parse(value);
    } catch {
      return {};
    }
  }
  return value && typeof value === "object" && !Array.isArray(value) ? value : {};
}

/** @param {any} value */
function textOf(value) {
  return typeof value === "string" ? value : "";
}

/** @param {any} value @returns {string} A task's id. It goes into messages to the model, so it is no other text. */
function idOf(value) {
  return /^[\w-]{1,64}$/.test(textOf(value)) ? value : "";
}

/** @param {any} value @returns {number | null} */
function numberOf(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/**
 * The data of a result: its structured content, or the first block that is JSON.
 *
 * @param {ToolResult} result
 * @returns {Record<string, any>}
 */
function dataOf(result) {
  const isFilled = (/** @type {object} */ data) => Object.keys(data).length > 0;
  const data = [result.structuredContent, ...textBlocks(result)].map(objectOf).find(isFilled) ?? {};
  return isFilled(objectOf(data.result)) && data.id === undefined ? objectOf(data.result) : data; // some hosts wrap it
}

/** @param {ToolResult} result @returns {string[]} */
function textBlocks(result) {
  return (Array.isArray(result.content) ? result.content : []).map((block) => textOf(block?.text)).filter(Boolean);
}

/** @param {ToolResult} result @returns {Record<string, any>} What the history knows of the result's tasks, by id. */
function detailsOf(result) {
  return objectOf(objectOf(result._meta)["runway-mcp/starts"]);
}

/** @param {any} credits */
function creditsText(credits) {
  return `${number(credits)} credit${credits === 1 ? "" : "s"}`;
}

/** @param {number} value */
function number(value, digits = 2) {
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);
}

function locale() {
  try {
    return Intl.getCanonicalLocales(context.locale ?? [])[0];
  } catch {
    return undefined;
  }
}

/** @param {number} seconds */
function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return (parts[0] ? parts : parts.slice(1)).map((part, at) => (at ? String(part).padStart(2, "0") : part)).join(":");
}

/** @param {number} seconds UNIX time */
function moment(seconds) {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return "";
  const isToday = date.toDateString() === new Date().toDateString();
  return date.toLocaleString(locale(), isToday ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
}

/** @param {number} bytes */
function bytesText(bytes) {
  return bytes < 1e6 ? `${number(Math.max(bytes / 1e3, 0.1), 1)} kB` : `${number(bytes / 1e6, 1)} MB`;
}

/** @param {string} type A task type: text_to_video. */
function typeText(type) {
  const text = type.replace(/[_/]/g, " ").trim();
  return text ? text[0].toUpperCase() + text.slice(1) : "Runway task";
}

/**
 * @param {any} url
 * @returns {string | null} The URL, where it is safe to load and open: https, or the sandbox's own origin.
 */
function safeUrl(url) {
  try {
    const { protocol, origin, href } = new URL(textOf(url));
    const own = [...(document.body.dataset.media ?? "").split(" "), location.origin];
    return protocol === "https:" || (protocol === "http:" && own.includes(origin)) ? href : null;
  } catch {
    return null;
  }
}

/** @param {string} url @param {string} type @returns {"video" | "image" | "audio" | "file"} */
function kindOf(url, type) {
  const extension = /\.(\w+)$/.exec(new URL(url).pathname)?.[1].toLowerCase() ?? "";
  if (/^(mp4|m4v|mov|webm)$/.test(extension)) return "video";
  if (/^(png|jpe?g|webp|gif|svg|avif)$/.test(extension)) return "image";
  if (/^(mp3|wav|m4a|ogg|opus|flac|aac)$/.test(extension)) return "audio";
  return extension ? "file" : kindOfType(type);
}

/** @param {string} type @returns {"video" | "image" | "audio" | "file"} */
function kindOfType(type) {
  const made = type.split("_to_").at(-1) ?? "";
  if (/audio|speech|sound|voice/.test(made)) return "audio";
  if (/image/.test(made)) return "image";
  return made ? "video" : "file";
}

/** @param {any} input @returns {string} */
function promptOf(input) {
  const { promptText, text, prompt } = objectOf(input);
  return textOf(promptText) || textOf(text) || textOf(prompt);
}

/** @param {string} text @param {number} limit */
function cut(text, limit) {
  return text.length > limit ? `${text.slice(0, limit).toWellFormed()}…` : text;
}

/** @param {string} prompt From the history, which keeps the beginning. */
function shortened(prompt) {
  return [...prompt].length >= PROMPT_LIMIT ? `${prompt}…` : prompt;
}
