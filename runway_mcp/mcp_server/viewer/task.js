/** One task: what it is, how far it is, what it made, and what can be done with it. */

const FOLLOW_MS = 5_000;
/** For a call that waits: its own result may come sooner. */
const FIRST_MS = 1_000;
const MAX_FOLLOW_MS = 60_000;
const MAX_FAILURES = 6;
const REFRESH_AGAIN_MS = 600_000;

/** @param {string} name */
const offers = (name) => ` ${document.body.dataset.tools} `.includes(` ${name} `);
const canCall = () => Boolean(capabilities.serverTools);
const isVisible = () => !document.hidden && isOnScreen;
let isOnScreen = true;

/**
 * @param {Element} root
 * @param {{id: string, task: any, details: any, prompt?: string, note?: string, files?: any[], said?: string, back?: () => void}} given
 */
function taskView(root, given) {
  const { id, back } = given;
  let { task, details, note = "" } = given;
  /** @type {any[]} */
  let files = given.files ?? objectOf(details).files ?? [];
  let selected = /** @type {number | null} */ (null);
  let measured = /** @type {string[]} */ ([]);
  let asks = false;
  let said = given.said ?? "";
  let problem = "";
  let refreshed = -REFRESH_AGAIN_MS;
  let read = Date.now();
  let failures = 0;
  let isClosed = false;
  /** @type {any} */
  let timer;

  const parts = Object.fromEntries(
    ["bar", "media", "head", "progress", "failure", "facts", "saved", "actions", "problem"].map((name) => [name, make("div", { class: name })]),
  );
  const article = make("article", { class: "card", "aria-label": "Runway task" }, ...Object.values(parts));
  root.replaceChildren(article);
  const ticking = setInterval(tick, 1000);

  const status = () => textOf(task.status) || textOf(objectOf(details).status) || "LOADING";
  const type = () => textOf(objectOf(details).type);
  const prompt = () => given.prompt || shortened(textOf(objectOf(details).prompt));
  const isActive = () => !FINAL.includes(status());
  const outputs = () => (status() === "SUCCEEDED" ? outputsOf(task, type()) : []);

  const unshown = () => (status() === "SUCCEEDED" && Array.isArray(task.output) ? task.output.length - outputs().length : 0);

  function begun() {
    const created = Date.parse(textOf(task.createdAt)) / 1000;
    return Number.isFinite(created) ? created : objectOf(details).begun;
  }

  function progress() {
    return typeof task.progress === "number" ? Math.min(Math.max(task.progress, 0), 1) : null;
  }

  function tick() {
    const time = article.querySelector(".elapsed");
    if (time && begun()) time.textContent = clock(Date.now() / 1000 - begun());
  }

  function update() {
    const state = statusOf(status());
    fill(parts.bar, [], () => [back && button("All tasks", back, { class: "button plain back" })]);
    fill(parts.media, [outputs(), selected, unshown()], () => [
      outputs().length > 0 && outputsView(outputs(), viewOptions()),
      unshown() > 0 && make("p", { class: "quiet" }, `Outputs without an address that is safe to load: ${number(unshown())}.`),
    ]);
    fill(parts.head, [status(), type(), details?.model, prompt(), isActive() && begun(), context.displayMode, context.availableDisplayModes], () => head(state));
    fill(parts.progress, [status(), progress() === null], () => (isActive() ? progressBar(state) : [state.text && make("p", { class: "quiet" }, state.text)]));
    updateBar();
    fill(parts.failure, [status(), task.failure, task.failureCode, note, cost()], failure);
    fill(parts.facts, facts(), () => facts().map((fact) => make("span", {}, fact)));
    fill(parts.saved, files, () => savedFiles(files));
    fill(parts.actions, [status(), selected, asks, outputs().map(({ url }) => url), task.failureCode], actions);
    const hasGivenUp = failures >= MAX_FAILURES;
    const again = () => ((failures = 0), look());
    fill(parts.problem, [said, problem, hasGivenUp], () => [said && make("p", {}, said), problem && make("p", {}, problem), hasGivenUp && button("Read it again", again)]);
    tick();
  }

  const viewOptions = () => ({
    alt: prompt(),
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
      const focus = index === null ? `[data-index="${before}"]` : "[data-focus]";
      /** @type {HTMLElement | null} */ (article.querySelector(focus))?.focus();
    },
  });

  /** @param {{label: string, tone: string}} state */
  function head(state) {
    const title = [typeText(type()), textOf(objectOf(details).model)].filter(Boolean).join(" · ");
    return [
      make(
        "div",
        { class: "title" },
        make("div", { class: "line" }, chip(state), make("h1", {}, title)),
        make("span", { class: "end" }, isActive() && begun() && make("span", { class: "elapsed quiet", "aria-hidden": "true" }), modeButton()),
      ),
      prompt() && make("p", { class: "prompt" }, prompt()),
    ];
  }

  /** @param {{label: string, text?: string}} state */
  function progressBar({ label, text }) {
    return [
      make("div", { class: "track", role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100 }, make("div", { class: "done" })),
      make("p", { class: "quiet" }, make("span", { class: "percent" }), text),
    ];
  }

  function updateBar() {
    const track = parts.progress.querySelector(".track");
    const share = progress();
    if (!track || share === null) return;
    const percent = `${Math.floor(share * 100)}`;
    track.setAttribute("aria-valuenow", percent);
    parts.progress.querySelector(".done").style.width = `${percent}%`;
    parts.progress.querySelector(".percent").textContent = `${percent} %`;
  }

  function cost() {
    const found = objectOf(task.cost).credits;
    return typeof found === "number" ? found : null;
  }

  function estimate() {
    const found = objectOf(task.estimatedCost).credits ?? objectOf(details).credits;
    return typeof found === "number" ? found : null;
  }

  function charge() {
    if (cost() !== null) return cost() === 0 ? "Not charged" : `Charged ${creditsText(cost())}`;
    if (!isActive() && objectOf(details).isCharged) return `Charged ${creditsText(details.credits)}`;
    if (isActive() && estimate() !== null) return `About ${creditsText(estimate())}`;
    return status() === "FAILED" ? "Whether it is charged is not known yet" : "";
  }

  function facts() {
    const asked = objectOf(details).seconds;
    const length = measured.length ? measured : [typeof asked === "number" ? `${number(asked, 1)} s` : ""];
    return [...length, charge(), begun() ? moment(begun()) : ""].filter(Boolean);
  }

  function failure() {
    if (status() !== "FAILED") return [];
    const advice = note.replace(/^The task FAILED\.\s*/, "");
    const code = textOf(task.failureCode);
    return [
      make("p", { class: "reason" }, textOf(task.failure) || "Runway gave no reason."),
      advice && make("p", {}, advice),
      code && make("p", { class: "quiet" }, make("code", {}, code)),
    ];
  }

  function actions() {
    if (isActive()) {
      if (!offers("runway_cancelTask") || !canCall() || !id || !task.status) return [];
      return asks ? confirmation() : [button("Cancel", () => ask(true))];
    }
    if (status() === "FAILED" && offers("runway_startTask") && capabilities.message && !NEEDS_CHANGE.test(textOf(task.failureCode))) {
      return [button("Try again", tryAgain)];
    }
    const those = outputs();
    const one = those.length === 1 ? those[0] : those.find(({ index }) => index === selected);
    return [
      those.length > 0 && offers("runway_downloadOutput") && canCall() && button(one || those.length < 2 ? "Save" : "Save all", (event) => save(event, one), { class: "button primary" }),
      one && button("Copy link", (event) => copy(event, one.url)),
      one && link(one.url, "Open"),
      one && capabilities.message && button("Use as input", () => say(`Use task:${id}${those.length > 1 ? `#${one.index}` : ""} as an input of the next task.`)),
    ];
  }

  function confirmation() {
    const charged = status() === "RUNNING" ? "Its credits are not refunded." : "It has not begun, which costs nothing.";
    const stop = button("Stop the task", cancel, { class: "button danger" });
    const keep = button("Keep it", () => ask(false), { "data-focus": true });
    const keydown = (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && ask(false);
    return [make("div", { class: "ask", role: "group", "aria-label": "Cancel the task?", keydown }, make("p", {}, `Stop this task? Its output is lost. ${charged}`), stop, keep)];
  }

  /** @param {boolean} now */
  function ask(now) {
    asks = now;
    update();
    /** @type {HTMLElement | null} */ (parts.actions.querySelector(asks ? "[data-focus]" : "button"))?.focus();
  }

  async function cancel() {
    asks = false;
    tell("Stopping …");
    const result = await callTool("runway_cancelTask", { taskId: id });
    tell(textOf(dataOf(result).note) || textBlocks(result)[0] || "");
    await refresh();
  }

  /** @param {string} text */
  function tell(text) {
    said = text;
    announce(text);
    update();
  }

  /** @param {any} event @param {Output | undefined} one */
  async function save({ currentTarget: pressed }, one) {
    pressed.disabled = true;
    pressed.textContent = "Saving …";
    const args = one && outputs().length > 1 ? { taskId: id, outputs: [one.index] } : { taskId: id };
    let result = await callTool("runway_downloadOutput", args);
    while (!isClosed && !result.isError && filesOf(result).some((file) => file.downloaded !== undefined)) {
      pressed.textContent = `Saving … ${savedShare(filesOf(result))}`;
      await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS));
      result = await callTool("runway_downloadOutput", args);
    }
    const found = filesOf(result).filter(({ path }) => path);
    files = [...files.filter(({ path }) => !found.some((file) => file.path === path)), ...found];
    pressed.disabled = false;
    pressed.textContent = found.length ? "Saved" : "Save";
    tell(result.isError ? textBlocks(result)[0] || "Nothing was saved." : textOf(dataOf(result).note));
    if (found.length) announce(`Saved: ${found.map(({ path }) => path).join(", ")}`);
  }

  /** @param {any} event @param {string} url */
  async function copy({ currentTarget: pressed }, url) {
    try {
      await navigator.clipboard.writeText(url);
      pressed.textContent = "Copied";
      announce("The link was copied.");
    } catch {
      const field = make("input", { class: "copy", readonly: true, "aria-label": "Link to copy" });
      field.value = url;
      parts.problem.replaceChildren(make("p", {}, "Your app doesn't allow copying. Press Ctrl+C or ⌘C:"), field);
      parts.problem.hidden = false;
      field.select();
    }
  }

  function tryAgain() {
    return say(`Start the Runway task ${id} again with the same input. It is a new task with its own price.`);
  }

  /** @param {string} text */
  async function say(text) {
    try {
      const { isError } = await request("ui/message", { role: "user", content: [{ type: "text", text }] });
      tell(isError ? "Your app did not take the message." : "Sent to the conversation.");
    } catch (error) {
      tell(`Your app did not take the message: ${reasonOf(error)}`);
    }
  }

  async function refreshLinks() {
    if (!canCall() || Date.now() - refreshed < REFRESH_AGAIN_MS) return false;
    refreshed = Date.now();
    return refresh();
  }

  /** @returns {Promise<boolean>} Whether the task was read. */
  async function refresh() {
    const result = await callTool("runway_getTask", { taskId: id });
    if (isClosed) return false;
    read = Date.now();
    const isRead = !result.isError && textOf(dataOf(result).status) !== "";
    failures = isRead ? 0 : failures + 1;
    if (isRead) take(result);
    problem = isRead ? "" : textBlocks(result)[0] || "The task could not be read.";
    update();
    return isRead;
  }

  /** @param {ToolResult} result */
  function take(result) {
    const before = status();
    const wasActive = isActive();
    const wasRead = Boolean(task.status);
    task = dataOf(result);
    note = textOf(task.note);
    details = detailsOf(result)[id] ?? details;
    const saved = objectOf(details).files ?? [];
    files = [...saved, ...files.filter(({ path }) => !saved.some((/** @type {any} */ file) => file.path === path))];
    if (status() !== before) announce(statusOf(status()).label);
    if (wasActive && !isActive() && wasRead && capabilities.updateModelContext) {
      const content = [{ type: "text", text: `Runway task ${id} is now ${status()}.` }];
      request("ui/update-model-context", { content }).catch(() => undefined); // the model can still read the task
    }
  }

  function follow() {
    clearTimeout(timer);
    if (isClosed || !isActive() || !canCall() || !offers("runway_getTask") || !isVisible() || !id || failures >= MAX_FAILURES) return;
    const pause = Math.min(FOLLOW_MS * 2 ** failures, MAX_FOLLOW_MS);
    timer = setTimeout(look, Math.max(read + (task.status || failures ? pause : FIRST_MS) - Date.now(), 0));
  }

  async function look() {
    await refresh();
    follow();
  }

  update();
  return {
    follow,
    update,
    read: look,
    close: () => {
      isClosed = true;
      clearTimeout(timer);
      clearInterval(ticking);
    },
  };
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
  const canChange = (context.availableDisplayModes ?? []).includes(mode);
  return canChange && button(icon("full"), change, { class: "button square", "aria-label": isFull ? "Leave full screen" : "Full screen" });
}

/** @param {{label: string, tone: string}} status */
function chip({ label, tone }) {
  return make("span", { class: `chip ${tone}` }, label);
}

/** @param {ToolResult} result @returns {any[]} */
function filesOf(result) {
  const { files } = dataOf(result);
  return Array.isArray(files) ? files.map(objectOf) : [];
}

/** @param {any[]} files */
function savedShare(files) {
  const done = files.reduce((sum, file) => sum + (file.downloaded ?? file.size ?? 0), 0);
  const total = files.reduce((sum, file) => sum + (file.total ?? file.size ?? NaN), 0);
  return total > 0 ? `${Math.floor((100 * done) / total)} %` : bytesText(done);
}

/** @param {any[]} files */
function savedFiles(files) {
  const lines = files.filter((file) => textOf(file.path)).map(({ path, size }) =>
    make("li", {}, make("code", {}, path), typeof size === "number" && make("span", { class: "quiet" }, ` ${bytesText(size)}`)),
  );
  return lines.length ? [make("h2", {}, "Saved"), make("ul", {}, ...lines)] : [];
}
