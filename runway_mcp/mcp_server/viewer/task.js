/** One task: what it is, how far it is, what it made, and what can be done with it. */

const FOLLOW_MS = 5_000;
/** For a call that waits: its own result may come sooner. */
const FIRST_MS = 1_000;
const MAX_FOLLOW_MS = 60_000;
const MAX_FAILURES = 6;
const REFRESH_AGAIN_MS = 600_000;
/** So long after a message the next press counts as part of a double click. */
const MESSAGE_AGAIN_MS = 2_000;

/** @param {string} name */
const offers = (name) => ` ${document.body.dataset.tools} `.includes(` ${name} `);
const isVisible = () => !document.hidden && isOnScreen;
let isOnScreen = true;

/**
 * @param {Element} root
 * @param {{id: string, task: any, details: any, prompt?: string, note?: string, files?: any[], said?: string,
 *   back?: () => void}} given
 */
function taskView(root, given) {
  const { id, back } = given;
  const known = { id, task: given.task, details: given.details, prompt: given.prompt ?? "", note: given.note ?? "" };
  let files = given.files ?? recordedFiles(known);
  let selected = /** @type {number | null} */ (null);
  let measured = /** @type {string[]} */ ([]);
  let asks = false;
  let isStopping = false;
  /** What the button says while files are saved. */
  let saving = "";
  let nextMessage = 0;
  let said = given.said ?? "";
  let problem = "";
  let refreshed = -REFRESH_AGAIN_MS;
  let read = Date.now();
  let failures = 0;
  let isClosed = false;
  /** @type {Promise<void> | null} */
  let reading = null;
  /** @type {any} */
  let timer;

  const names = ["bar", "media", "head", "progress", "failure", "facts", "saved", "actions", "problem"];
  const parts = Object.fromEntries(names.map((name) => [name, make("div", { class: name })]));
  const props = { class: "card", tabindex: -1, "aria-label": "Runway task" };
  const article = make("article", props, ...Object.values(parts));
  root.replaceChildren(article);
  const ticking = setInterval(tick, 1000);

  function tick() {
    const time = article.querySelector(".elapsed");
    if (time) time.textContent = clock(Date.now() / 1000 - begunIn(known));
  }

  function update() {
    const status = statusIn(known);
    const outputs = outputsIn(known);
    const unsafe = unsafeOutputs(known);
    const { failure, failureCode } = known.task;
    const modes = [context.displayMode, context.availableDisplayModes];
    const facts = factsIn(known, measured);
    const hasGivenUp = failures >= MAX_FAILURES;
    const unsafeNote = `Outputs without an address that is safe to load: ${number(unsafe)}.`;
    const missing = missingOutput(known);
    const title = [status, typeIn(known), known.details?.model, promptIn(known), begunIn(known)];

    fill(parts.bar, [], () => [back && button("All tasks", back, { class: "button plain back" })]);
    fill(parts.media, [outputs, selected, unsafe, missing], () => [
      outputs.length > 0 && outputsView(outputs, mediaOptions()),
      unsafe > 0 && make("p", { class: "quiet" }, unsafeNote),
      missing && make("p", { class: "quiet" }, missing),
    ]);
    fill(parts.head, [title, modes], () => headOf(known));
    fill(parts.progress, [status, progressIn(known) === null], () => progressOf(known));
    fill(parts.failure, [status, failure, failureCode, known.note], () => failureOf(known));
    fill(parts.facts, facts, () => facts.map((fact) => make("span", {}, fact)));
    fill(parts.saved, files, () => savedOf(files));
    const doing = [asks, isStopping, saving];
    fill(parts.actions, [status, selected, doing, outputs.map(({ url }) => url), canCall()], actions);
    fill(parts.problem, [said, problem, hasGivenUp], () => [
      said && make("p", {}, said),
      problem && make("p", {}, problem),
      hasGivenUp && button("Read it again", () => ((failures = 0), look())),
    ]);
    updateBar();
    tick();
  }

  function updateBar() {
    const track = parts.progress.querySelector(".track");
    const share = progressIn(known);
    if (!track || share === null) return;
    const percent = `${Math.floor(share * 100)}`;
    track.setAttribute("aria-valuenow", percent);
    parts.progress.querySelector(".done").style.width = `${percent}%`;
    parts.progress.querySelector(".percent").textContent = `${percent} %`;
  }

  const mediaOptions = () => ({
    alt: cut(promptIn(known), PROMPT_LIMIT),
    refresh: refreshLinks,
    selected,
    measured: (/** @type {string[]} */ found) => {
      measured = found;
      update();
    },
    select: (/** @type {number | null} */ index) => {
      const before = selected;
      [selected, measured] = [index, []];
      update();
      article.querySelector(index === null ? `[data-index="${before}"]` : "[data-focus]")?.focus();
    },
  });

  /** @returns {Child[]} */
  function actions() {
    const status = statusIn(known);
    if (isActive(known)) {
      if (!offers("runway_cancelTask") || !canCall() || !id || !known.task.status) return [];
      if (isStopping) return [button("Stopping …", () => undefined, { "aria-disabled": "true" })];
      return asks ? [confirmation(status)] : [button("Cancel", () => ask(true))];
    }
    if (status === "FAILED") {
      const canRepeat = offers("runway_startTask") && !NEEDS_CHANGE.test(textOf(known.task.failureCode));
      return [canRepeat && button("Try again", tryAgain)];
    }
    const outputs = outputsIn(known);
    const one = outputs.length === 1 ? outputs[0] : outputs.find(({ index }) => index === selected);
    const canSave = outputs.length > 0 && offers("runway_downloadOutput") && canCall();
    const args = one && outputs.length > 1 ? { taskId: id, outputs: [one.index] } : { taskId: id };
    const named = one && outputs.length > 1 ? `task:${id}#${one.index}` : `task:${id}`;
    const use = `Use ${named} as an input of the next task.`;
    return [
      canSave && saveButton(one ? "Save" : "Save all", args),
      one && button("Copy link", (event) => copy(event, one.url)),
      one && link(one.url, "Open"),
      one && offers("runway_startTask") && button("Use as input", () => say(use)),
    ];
  }

  /** @param {string} label @param {object} args */
  function saveButton(label, args) {
    const isSaving = saving !== "" && "true";
    return button(saving || label, () => save(args), { class: "button primary", "aria-disabled": isSaving });
  }

  /** @param {string} status */
  function confirmation(status) {
    const price = status === "RUNNING" ? "Its credits are not refunded." : "It has not begun, which costs nothing.";
    const keydown = (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && ask(false);
    return make(
      "div",
      { class: "ask", role: "group", "aria-label": "Stop this task?", keydown },
      make("p", {}, `Stop this task? Its output is lost. ${price}`),
      button("Stop the task", cancel, { class: "button danger" }),
      button("Keep it", () => ask(false), { "data-focus": true }),
    );
  }

  /** @param {boolean} now */
  function ask(now) {
    asks = now;
    update();
    parts.actions.querySelector(asks ? "[data-focus]" : "button")?.focus();
  }

  async function cancel() {
    if (isStopping) return;
    [asks, isStopping] = [false, true];
    announce("Stopping …");
    update();
    const result = await callTool("runway_cancelTask", { taskId: id });
    isStopping = false;
    tell(textOf(dataOf(result).note) || textBlocks(result)[0] || "");
    await reading; // it may have begun before the task was stopped
    await look();
  }

  /** @param {string} text */
  function tell(text) {
    said = text;
    announce(text);
    update();
  }

  /** @param {object} args */
  async function save(args) {
    if (saving) return;
    saving = "Saving …";
    update();
    let result = await callTool("runway_downloadOutput", args);
    while (!isClosed && !result.isError && filesOf(result).some((file) => file.downloaded !== undefined)) {
      saving = `Saving … ${savedShare(filesOf(result))}`;
      update();
      await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS));
      result = await callTool("runway_downloadOutput", args);
    }
    const saved = filesOf(result).filter(({ path }) => path);
    files = mergeFiles(files, saved);
    saving = "";
    tell(result.isError ? textBlocks(result)[0] || "Nothing was saved." : textOf(dataOf(result).note));
    if (saved.length) announce(`Saved: ${saved.map(({ path }) => path).join(", ")}`);
  }

  /** @param {any} event @param {string} url */
  async function copy({ currentTarget: pressed }, url) {
    try {
      await navigator.clipboard.writeText(url);
      pressed.textContent = "Copied";
      announce("The link was copied.");
    } catch {
      offer("Your app doesn't allow copying. Press Ctrl+C or ⌘C:", url);
    }
  }

  /** @param {string} why @param {string} text For the person to copy. */
  function offer(why, text) {
    parts.problem.hidden = false;
    offerText(parts.problem, why, text);
  }

  function tryAgain() {
    return say(`Start the Runway task ${id} again with the same input. It is a new task with its own price.`);
  }

  /** @param {string} text Sent to the conversation as the user's. */
  async function say(text) {
    if (Date.now() < nextMessage) return;
    nextMessage = Infinity;
    const reply = await request("ui/message", { role: "user", content: [{ type: "text", text }] }).catch(() => null);
    nextMessage = Date.now() + MESSAGE_AGAIN_MS;
    if (reply && !reply.isError) tell("Sent to the conversation.");
    else offer("Your app takes no messages from here. Copy this into the conversation:", text);
  }

  async function refreshLinks() {
    if (!canCall() || !offers("runway_getTask") || Date.now() - refreshed < REFRESH_AGAIN_MS) return;
    refreshed = Date.now();
    await refresh();
  }

  function refresh() {
    return (reading ??= readTask().finally(() => (reading = null)));
  }

  async function readTask() {
    const result = await callTool("runway_getTask", { taskId: id });
    if (isClosed) return;
    read = Date.now();
    const isRead = !result.isError && textOf(dataOf(result).status) !== "";
    failures = isRead ? 0 : failures + 1;
    problem = isRead ? "" : textBlocks(result)[0] || "The task could not be read.";
    if (isRead) take(result);
    update();
  }

  /** @param {ToolResult} result */
  function take(result) {
    const before = statusIn(known);
    const wasActive = isActive(known) && Boolean(known.task.status);
    known.task = dataOf(result);
    known.note = textOf(known.task.note);
    known.details = detailsOf(result)[id] ?? known.details;
    files = mergeFiles(files, recordedFiles(known));
    const status = statusIn(known);
    if (status !== before) announce(statusOf(status).label);
    if (wasActive && !isActive(known) && capabilities.updateModelContext) {
      const content = [{ type: "text", text: `Runway task ${id} is now ${status}.` }];
      request("ui/update-model-context", { content }).catch(() => undefined); // the model can still read the task
    }
  }

  function follow() {
    clearTimeout(timer);
    if (reading) return; // what reads follows then
    const isDone = isClosed || !isActive(known) || !id || failures >= MAX_FAILURES;
    if (isDone || !isVisible() || !canCall() || !offers("runway_getTask")) return;
    const pause = known.task.status || failures ? Math.min(FOLLOW_MS * 2 ** failures, MAX_FOLLOW_MS) : FIRST_MS;
    timer = setTimeout(look, Math.max(read + pause - Date.now(), 0));
  }

  async function look() {
    clearTimeout(timer);
    await refresh();
    follow();
  }

  function close() {
    isClosed = true;
    clearTimeout(timer);
    clearInterval(ticking);
  }

  update();
  return { follow, update, read: look, close };
}
