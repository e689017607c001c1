/**
 * What is known of a task: Runway's reply, and what the history tells of its start.
 *
 * @typedef {{id: string, task: any, details: any, prompt: string, note: string}} Known
 */

/** @param {Known} known */
function statusIn({ task, details }) {
  return textOf(task.status) || textOf(objectOf(details).status) || "LOADING";
}

/** @param {Known} known */
function isActive(known) {
  return !FINAL.includes(statusIn(known));
}

/** @param {Known} known */
function typeIn({ details }) {
  return textOf(objectOf(details).type);
}

/** @param {Known} known */
function promptIn({ prompt, details }) {
  return cut(prompt || shortened(textOf(objectOf(details).prompt)), MAX_TEXT);
}

/** @param {Known} known @returns {Output[]} */
function outputsIn(known) {
  return statusIn(known) === "SUCCEEDED" ? outputsOf(known.task, typeIn(known)) : [];
}

/** @param {Known} known */
function unsafeOutputs(known) {
  const { output } = known.task;
  return statusIn(known) === "SUCCEEDED" && Array.isArray(output) ? output.length - outputsIn(known).length : 0;
}

/** @param {Known} known @returns {string} Why nothing is seen of a finished task. */
function missingOutput(known) {
  const { output } = known.task;
  if (statusIn(known) !== "SUCCEEDED" || (Array.isArray(output) && output.length)) return "";
  if (output !== undefined) return "Runway names no output of this task.";
  return canCall() && offers("runway_getTask") ? "" : "Ask for this task in the conversation to see its output.";
}

/** @param {Known} known @returns {number} UNIX seconds; 0 where it is unknown. */
function begunIn({ task, details }) {
  const created = Date.parse(textOf(task.createdAt)) / 1000;
  return Number.isFinite(created) ? created : numberOf(objectOf(details).begun) ?? 0;
}

/** @param {Known} known @returns {number | null} From 0 to 1. */
function progressIn({ task }) {
  const share = numberOf(task.progress);
  return share === null ? null : Math.min(Math.max(share, 0), 1);
}

/** @param {Known} known */
function chargeIn(known) {
  const { isCharged, credits } = objectOf(known.details);
  const cost = numberOf(objectOf(known.task.cost).credits) ?? (isCharged ? numberOf(credits) : null);
  const estimate = numberOf(objectOf(known.task.estimatedCost).credits) ?? numberOf(credits);
  if (isActive(known)) return estimate === null ? "" : `About ${creditsText(estimate)}`;
  if (cost !== null) return cost === 0 ? "Not charged" : `Charged ${creditsText(cost)}`;
  return statusIn(known) === "FAILED" ? "Whether it is charged is not known yet" : "";
}

/** @param {Known} known @param {string[]} measured What the player has found. @returns {string[]} */
function factsIn(known, measured) {
  const asked = numberOf(objectOf(known.details).seconds);
  const length = measured.length ? measured : [asked === null ? "" : `Length ${number(asked, 1)} s`];
  const begun = begunIn(known);
  return [...length, chargeIn(known), begun ? `Started ${moment(begun)}` : ""].filter(Boolean);
}

/** @param {Known} known @returns {Child[]} */
function headOf(known) {
  const title = [typeText(typeIn(known)), textOf(objectOf(known.details).model)].filter(Boolean).join(" · ");
  const elapsed = isActive(known) && begunIn(known) > 0;
  const prompt = promptIn(known);
  return [
    make(
      "div",
      { class: "title" },
      make("div", { class: "line" }, chip(statusOf(statusIn(known))), make("h1", {}, title)),
      make(
        "span",
        { class: "end" },
        elapsed && make("span", { class: "elapsed quiet", "aria-hidden": "true" }),
        modeButton(),
      ),
    ),
    prompt && make("p", { class: "prompt", tabindex: scrolls(prompt) }, prompt),
  ];
}

/** @param {Known} known @returns {Child[]} */
function progressOf(known) {
  const { label, text } = statusOf(statusIn(known));
  if (!isActive(known)) return [text && make("p", { class: "quiet" }, text)];
  const range = { "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100 };
  return [
    make("div", { class: "track", role: "progressbar", ...range }, make("div", { class: "done" })),
    make("p", { class: "quiet" }, make("span", { class: "percent" }), text),
  ];
}

/** @param {Known} known @returns {Child[]} */
function failureOf(known) {
  if (statusIn(known) !== "FAILED") return [];
  const failure = cut(textOf(known.task.failure), MAX_TEXT);
  const failureCode = cut(textOf(known.task.failureCode), PROMPT_LIMIT);
  const advice = known.note.replace(/^The task FAILED\.\s*/, "");
  return [
    make("p", { class: "reason", tabindex: scrolls(failure) }, failure || "Runway gave no reason."),
    advice && make("p", {}, advice),
    failureCode && make("p", { class: "quiet" }, make("code", {}, failureCode)),
  ];
}

/** @param {string} text @returns {0 | false} A long text scrolls, which the keyboard must reach. */
function scrolls(text) {
  return text.length > LONG_TEXT && 0;
}

/** @param {{label: string, tone: string}} status */
function chip({ label, tone }) {
  return make("span", { class: `chip ${tone}` }, label);
}

function modeButton() {
  const isFull = context.displayMode === "fullscreen";
  const mode = isFull ? "inline" : "fullscreen";
  const change = async () => {
    try {
      applyContext({ displayMode: (await request("ui/request-display-mode", { mode })).mode ?? mode });
    } catch {
      announce("The app keeps this size.");
    }
  };
  const label = isFull ? "Leave full screen" : "Full screen";
  const canChange = (context.availableDisplayModes ?? []).includes(mode);
  return canChange && button(icon("full"), change, { class: "button square", "aria-label": label });
}

/** @param {ToolResult} result @returns {any[]} */
function filesOf(result) {
  const { files } = dataOf(result);
  return Array.isArray(files) ? files.map(objectOf) : [];
}

/** @param {Known} known @returns {any[]} The files that the history knows. */
function recordedFiles({ details }) {
  const { files } = objectOf(details);
  return Array.isArray(files) ? files.map(objectOf) : [];
}

/** @param {any[]} files @param {any[]} more @returns {any[]} Each path once. */
function mergeFiles(files, more) {
  return [...files.filter(({ path }) => !more.some((file) => file.path === path)), ...more];
}

/** @param {any[]} files Some of which are being downloaded. */
function savedShare(files) {
  const done = files.reduce((sum, file) => sum + (file.downloaded ?? file.size ?? 0), 0);
  const total = files.reduce((sum, file) => sum + (file.total ?? file.size ?? NaN), 0);
  return total > 0 ? `${Math.floor((100 * done) / total)} %` : bytesText(done);
}

/** @param {any[]} files @returns {Child[]} */
function savedOf(files) {
  const lines = files
    .filter(({ path }) => textOf(path))
    .map(({ path, size }) => {
      const bytes = numberOf(size);
      return make(
        "li",
        {},
        make("code", {}, path),
        bytes !== null && make("span", { class: "quiet" }, ` ${bytesText(bytes)}`),
      );
    });
  return lines.length ? [make("h2", {}, "Saved"), make("ul", {}, ...lines)] : [];
}
