/**
 * Several tasks: cards, newest first, each of which opens its task.
 *
 * @typedef {{id: string, task: any, details: any}} Entry
 */

const LIST_FOLLOW_MS = 10_000;
const LIST = "runway_listTasks";
const WAIT = "runway_waitForTask";
const FETCH_SECONDS = 5;
const MAX_FETCH = 50;

/** @param {ToolResult} result @returns {Entry[]} */
function entriesOf(result) {
  const { columns, tasks } = dataOf(result);
  const details = detailsOf(result);
  if (!Array.isArray(tasks)) return [];
  return tasks.map((task) => {
    const isRow = Array.isArray(task) && Array.isArray(columns);
    const cells = isRow ? fromRow(columns, task) : { task: objectOf(task), details: null };
    const id = idOf(cells.task.id);
    return { id, task: cells.task, details: (Object.hasOwn(details, id) ? details[id] : null) ?? cells.details };
  });
}

/** @param {any[]} columns @param {any[]} row */
function fromRow(columns, row) {
  const cells = Object.fromEntries(columns.map((name, at) => [name, textOf(row[at])]));
  const [status, percent] = textOf(cells.status).split(", ");
  const progress = percent ? Number.parseInt(percent, 10) / 100 : undefined;
  const price = textOf(cells.credits);
  const credits = Number.parseFloat(price.replace("~", ""));
  return {
    task: { id: cells.id, status, progress },
    details: {
      type: cells.type,
      model: cells.model,
      prompt: cells.prompt,
      credits: Number.isFinite(credits) ? credits : null,
      isCharged: !price.startsWith("~"),
      begun: Date.parse(cells.created) / 1000,
    },
  };
}

/**
 * @param {Element} root
 * @param {{result: ToolResult, args: () => any, openEntry: (entry: Entry) => void}} given
 *   `args` are those of the call; null where the host has not told them.
 */
function galleryView(root, { result, args, openEntry }) {
  let firstPage = entriesOf(result);
  /** @type {Entry[]} What *Show more* has added. */
  let laterPages = [];
  let data = dataOf(result);
  let cursor = data.nextCursor;
  let isReading = false;
  let isAdding = false;
  let isClosed = false;
  let failures = 0;
  let problem = "";
  let read = Date.now();
  /** @type {any} */
  let timer;
  /** @type {Map<string, Output | null>} The first output of each; null where none was found. */
  const pictures = new Map();
  const list = make("ul", { class: "gallery" });
  const head = make("div", { class: "title" });
  const foot = make("div", { class: "actions" });
  const trouble = make("div", { class: "problem" });
  const section = make("section", { class: "card", "aria-label": "Runway tasks" }, head, list, foot, trouble);

  /** @returns {Entry[]} */
  function all() {
    const ids = new Set(firstPage.map(({ id }) => id));
    return [...firstPage, ...laterPages.filter(({ id }) => !id || !ids.has(id))];
  }

  function open() {
    isClosed = false;
    root.replaceChildren(section);
    update();
  }

  function update() {
    const entries = all();
    const modes = [context.displayMode, context.availableDisplayModes];
    fill(head, [entries.length, data.matched, data.credits, modes], () => [
      make("div", { class: "line" }, make("h1", {}, "Tasks"), make("span", { class: "quiet" }, summary())),
      make("span", { class: "end" }, modeButton()),
    ]);
    entries.forEach((entry, at) => {
      const item = list.children[at] ?? list.appendChild(make("li"));
      fill(item, [entry, pictures.get(entry.id)?.url], () => [card(entry)]);
    });
    while (list.children.length > entries.length) list.lastElementChild?.remove();
    const hasMore = Boolean(cursor && args()) && canCall() && offers(LIST);
    fill(foot, [hasMore], () => [hasMore && button("Show more", more)]);
    const hasGivenUp = failures >= MAX_FAILURES;
    fill(trouble, [problem, hasGivenUp], () => [
      problem && make("p", {}, problem),
      hasGivenUp && button("Read it again", () => ((failures = 0), look())),
    ]);
  }

  function summary() {
    const shown = all().length;
    const parts = [`${number(numberOf(data.matched) ?? shown)} in all`];
    if (typeof data.credits === "number") parts.push(creditsText(data.credits));
    if (data.unknown) parts.push(`${number(data.unknown)} of unknown cost`);
    return shown ? parts.join(" · ") : "No task was started here yet, or none matches.";
  }

  /** @param {Entry} entry */
  function card(entry) {
    const { id, task, details } = entry;
    const { type = "", model, prompt = "", credits, isCharged, begun } = objectOf(details);
    const status = statusOf(textOf(task.status) || "UNKNOWN");
    const progress = FINAL.includes(task.status) ? null : numberOf(task.progress);
    const share = progress === null ? "" : ` ${Math.floor(100 * progress)} %`;
    const price = numberOf(credits) === null ? "" : `${isCharged ? "" : "~"}${creditsText(credits)}`;
    const facts = [prompt || !type ? typeText(type) : "", model, price, begun ? moment(begun) : ""];
    const what = make(
      "span",
      { class: "what" },
      make("span", { class: "name" }, shortened(textOf(prompt)) || (type ? typeText(type) : `Task ${id.slice(0, 8)}`)),
      make("span", { class: "quiet" }, facts.filter(Boolean).join(" · ")),
      task.error && make("span", { class: "quiet" }, textOf(task.error)),
      chip({ ...status, label: status.label + share }),
    );
    const picture = make("span", { class: "thumbnail" }, thumbnail(entry));
    if (!id) return make("div", { class: "entry" }, picture, what); // a start without a reply
    const props = { type: "button", class: "entry", "data-id": id, click: () => openEntry(entry) };
    return make("button", props, picture, what);
  }

  /** @param {Entry} entry */
  function thumbnail({ id, details }) {
    const output = pictures.get(id);
    const kind = output?.kind ?? kindOfType(textOf(objectOf(details).type));
    const url = output?.poster ?? (output && kind !== "audio" && kind !== "file" ? output.url : null);
    if (!url) return icon(kind);
    const error = (/** @type {Event} */ event) => /** @type {Element} */ (event.target).replaceWith(icon(kind));
    if (kind !== "video" || output?.poster) return make("img", { src: url, alt: "", loading: "lazy", error });
    return make("video", { src: url, muted: true, preload: "metadata", playsinline: true, tabindex: -1, error });
  }

  /** Fetch the finished tasks' links, which the list itself does not hold, in one call. */
  async function fetchPictures() {
    const entries = all();
    keep(entries.filter(({ task }) => Array.isArray(task.output)));
    const finished = entries.filter(({ id, task }) => id && task.status === "SUCCEEDED" && !pictures.has(id));
    const taskIds = finished.map(({ id }) => id).slice(0, MAX_FETCH);
    if (taskIds.length && canCall() && offers(WAIT)) {
      for (const id of taskIds) pictures.set(id, null);
      const links = await callTool(WAIT, { taskIds, timeoutSeconds: FETCH_SECONDS });
      if (links.isError) for (const id of taskIds) pictures.delete(id); // they are asked for again
      keep(entriesOf(links));
    }
    if (!isClosed) update();
  }

  /** @param {Entry[]} found */
  function keep(found) {
    for (const { id, task, details } of found) {
      const [first] = outputsOf(task, textOf(objectOf(details).type));
      if (first) pictures.set(id, first);
    }
  }

  async function more() {
    if (isAdding) return;
    isAdding = true;
    const result = await callTool(LIST, { ...args(), cursor });
    isAdding = false;
    const last = all().length;
    if (isRead(result)) {
      cursor = dataOf(result).nextCursor;
      laterPages = [...laterPages, ...entriesOf(result)];
    }
    update();
    list.children[last]?.querySelector("button")?.focus();
    await fetchPictures();
    follow();
  }

  /** @param {ToolResult} result Says what went wrong, too. */
  function isRead(result) {
    const isGood = !result.isError && Array.isArray(dataOf(result).tasks);
    problem = isGood ? "" : textBlocks(result)[0] || "The list could not be read.";
    if (problem) announce(problem);
    return isGood;
  }

  /** @returns {[string, any]} The call that reads these tasks anew. */
  function asks() {
    const given = args();
    if (given && !given.taskIds) return [LIST, given];
    const taskIds = given?.taskIds ?? firstPage.flatMap(({ id }) => id || []).slice(0, MAX_FETCH);
    return [WAIT, { taskIds, timeoutSeconds: FETCH_SECONDS, until: "any" }];
  }

  const canRead = () => canCall() && offers(asks()[0]);

  function follow() {
    clearTimeout(timer);
    const hasActive = firstPage.some(({ task }) => !FINAL.includes(task.status) && !task.error);
    const isDone = isClosed || !hasActive || failures >= MAX_FAILURES;
    if (isDone || isReading || !isVisible() || !canRead()) return;
    const pause = Math.min(LIST_FOLLOW_MS * 2 ** failures, MAX_FOLLOW_MS);
    timer = setTimeout(look, Math.max(read + pause - Date.now(), 0));
  }

  async function look() {
    clearTimeout(timer);
    if (isReading) return;
    isReading = true;
    const [tool, asked] = asks();
    const next = await callTool(tool, asked);
    [isReading, read] = [false, Date.now()];
    if (isClosed) return;
    failures = isRead(next) ? 0 : failures + 1;
    if (!failures) takePage(next);
    update();
    if (!failures) await fetchPictures();
    follow();
  }

  /** @param {ToolResult} next */
  function takePage(next) {
    if (asks()[0] === LIST) {
      [firstPage, data] = [entriesOf(next), dataOf(next)];
      if (!laterPages.length) cursor = data.nextCursor;
      return;
    }
    const found = new Map(entriesOf(next).map((entry) => [entry.id, entry]));
    firstPage = firstPage.map(({ id, task, details }) => {
      const fresh = found.get(id);
      return { id, task: fresh?.task ?? task, details: fresh?.details ?? details };
    });
  }

  open();
  void fetchPictures();
  return {
    open,
    follow,
    update,
    read: () => (canRead() ? look() : undefined),
    close: () => {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}
