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
    const id = textOf(cells.task.id);
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
 * @param {{result: ToolResult, args: any, open: (entry: Entry) => void}} given
 */
function galleryView(root, { result, args, open }) {
  let entries = entriesOf(result);
  let data = dataOf(result);
  let isOnFirstPage = true;
  let isClosed = false;
  /** @type {any} */
  let timer;
  /** @type {Map<string, Output | null>} The first output of each; null where none was found. */
  const pictures = new Map();
  const list = make("ul", { class: "gallery" });
  const head = make("div", { class: "title" });
  const foot = make("div", { class: "actions" });
  root.replaceChildren(make("section", { class: "card", "aria-label": "Runway tasks" }, head, list, foot));

  function update() {
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
    const hasMore = data.nextCursor && canCall() && offers(LIST);
    fill(foot, [data.nextCursor], () => [hasMore && button("Show more", more)]);
  }

  function summary() {
    const parts = [`${number(data.matched ?? entries.length)} in all`];
    if (typeof data.credits === "number") parts.push(creditsText(data.credits));
    if (data.unknown) parts.push(`${number(data.unknown)} of unknown cost`);
    return entries.length ? parts.join(" · ") : "No task was started here yet, or none matches.";
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
    return make("button", { type: "button", class: "entry", "data-id": id, click: () => open(entry) }, picture, what);
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
    keep(entries.filter(({ task }) => Array.isArray(task.output)));
    const finished = entries.filter(({ id, task }) => id && task.status === "SUCCEEDED" && !pictures.has(id));
    const taskIds = finished.map(({ id }) => id).slice(0, MAX_FETCH);
    if (taskIds.length && canCall() && offers(WAIT)) {
      for (const id of taskIds) pictures.set(id, null);
      keep(entriesOf(await callTool(WAIT, { taskIds, timeoutSeconds: FETCH_SECONDS })));
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
    const result = await callTool(LIST, { ...args, cursor: data.nextCursor });
    if (result.isError) return announce(textBlocks(result)[0] ?? "The list could not be read.");
    isOnFirstPage = false;
    const last = entries.length;
    data = dataOf(result);
    entries = [...entries, ...entriesOf(result)];
    update();
    list.children[last]?.querySelector("button")?.focus();
    await fetchPictures();
  }

  const canList = () => !args.taskIds && canCall() && offers(LIST);

  function follow() {
    clearTimeout(timer);
    const hasActive = entries.some(({ task }) => !FINAL.includes(task.status) && !task.error);
    if (isClosed || !hasActive || !isOnFirstPage || !isVisible() || !canList()) return;
    timer = setTimeout(look, LIST_FOLLOW_MS);
  }

  async function look() {
    const next = await callTool(LIST, args);
    if (isClosed) return;
    if (!next.isError) {
      [entries, data] = [entriesOf(next), dataOf(next)];
      update();
      await fetchPictures();
    }
    follow();
  }

  update();
  void fetchPictures();
  return {
    follow,
    update,
    read: () => (canList() ? look() : undefined),
    close: () => {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}
