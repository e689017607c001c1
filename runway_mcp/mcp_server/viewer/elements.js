/** Elements. Text from anywhere else becomes text nodes and attributes, never markup. */

/** @typedef {Node | string | null | undefined | false} Child */

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  audio: "M9 18V6l10-2v12M9 18a3 3 0 1 1-6 0 3 3 0 0 1 6 0ZM19 16a3 3 0 1 1-6 0 3 3 0 0 1 6 0Z",
  back: "M15 5l-7 7 7 7",
  file: "M7 3h7l5 5v13H7zM14 3v5h5",
  full: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01",
  next: "M9 5l7 7-7 7",
  video: "M4 5h16v14H4zM10 9l5 3-5 3z",
};

/** @param {unknown} value */
const isGiven = (value) => value !== null && value !== undefined && value !== false && value !== "";

/**
 * @param {string} tag
 * @param {Record<string, any>} props Attributes, and functions that listen for the event of their name.
 * @param {...Child} children
 * @returns {any}
 */
function make(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (isGiven(value) || value === "") element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(.../** @type {any[]} */ (children.filter(isGiven)));
  return element;
}

/** @param {keyof typeof ICONS} name */
function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/**
 * @param {Child} label
 * @param {(event: Event) => any} click
 * @param {Record<string, any>} props
 */
function button(label, click, props = {}) {
  return make("button", { type: "button", class: "button", click, ...props }, label);
}

/** @type {WeakMap<Element, string>} */
const filled = new WeakMap();

/**
 * Fill an element anew, but only where what it shows has changed: so playback and focus stay.
 *
 * @param {Element} element
 * @param {unknown} shows
 * @param {() => Child[]} build
 */
function fill(element, shows, build) {
  const key = JSON.stringify(shows);
  if (filled.get(element) === key) return;
  filled.set(element, key);
  const children = /** @type {any[]} */ (build().filter(isGiven));
  const focused = element.contains(document.activeElement) ? document.activeElement?.textContent : null;
  element.replaceChildren(...children);
  element.toggleAttribute("hidden", children.length === 0);
  if (focused === null) return;
  const buttons = [...element.querySelectorAll("button")];
  const next = buttons.find((one) => one.textContent === focused) ?? buttons[0] ?? element.closest("article");
  next?.focus(); // nothing else tells the keyboard's place
}

/**
 * Show a text for the person to copy.
 *
 * @param {Element} parent
 * @param {string} why
 * @param {string} text
 */
function offerText(parent, why, text) {
  parent.querySelector(".offer")?.remove();
  const field = make("input", { class: "copy", readonly: true, value: text });
  parent.append(make("label", { class: "offer" }, why, field));
  field.focus();
  field.select();
  announce(why);
}

/**
 * Say something to who can't see the page.
 *
 * @param {string} text
 */
function announce(text) {
  const live = document.getElementById("live");
  if (live && live.textContent !== text) live.textContent = text;
}
