/** What is shown: first by what the tool was asked, then by what it returned, then by what is clicked. */

const app = /** @type {HTMLElement} */ (document.getElementById("app"));
/** @type {any} The arguments of the call that this page shows. */
let input = {};
let hasInput = false;
/** @type {any} */
let view = null;
/** The result that is shown, as JSON. */
let lastResult = "";

/** @param {any} next */
function show(next) {
  view?.close();
  view = next;
  view.follow();
}

/** @param {any} given */
function showTask(given) {
  show(taskView(app, given));
}

/** @param {string} title @param {string} text */
function showMessage(title, text) {
  view?.close();
  view = null;
  app.replaceChildren(make("section", { class: "card" }, make("h1", {}, title), make("p", { class: "message" }, text)));
  announce(`${title} ${text}`);
}

/** @param {any} args @param {boolean} isWhole Whether the model has written all of them. */
function showInput(args, isWhole) {
  input = objectOf(args);
  hasInput = true;
  if (lastResult) return view?.update();
  const asked = objectOf(input.input);
  if (textOf(input.type) && input.input !== undefined) {
    showTask({ id: "", task: { status: "STARTING" }, details: asDetails(), prompt: promptOf(asked) });
  } else if (isWhole && textOf(input.taskId)) {
    showTask({ id: input.taskId, task: {}, details: null });
  } else if (isWhole) {
    const loading = make("p", { class: "quiet" }, "Loading …");
    app.replaceChildren(make("section", { class: "card" }, make("h1", {}, "Tasks"), loading));
  }
}

/** @param {ToolResult} result */
function showResult(result) {
  const text = JSON.stringify(result);
  if (text === lastResult) return; // some hosts send it again, which would end a playback
  lastResult = text;
  const data = dataOf(result);
  const id = idOf(data.id);
  if (Array.isArray(data.tasks)) return showList(result);
  const said = result.isError ? textBlocks(result)[0] : "";
  if (!id) return showMessage("No task to show", textBlocks(result)[0] ?? "The tool returned nothing.");
  const details = detailsOf(result)[id] ?? null;
  const files = Array.isArray(data.files) ? data.files.map(objectOf) : undefined;
  const prompt = input.input === undefined ? "" : promptOf(objectOf(input.input));
  const isTask = textOf(data.status) !== "";
  const task = isTask ? data : {};
  showTask({ id, task, details: details ?? asDetails(), prompt, note: textOf(data.note), files, said });
  if (!isTask && canCall()) void view.read();
}

function asDetails() {
  const asked = objectOf(input.input);
  return input.input === undefined ? null : { type: input.type, model: asked.model, seconds: asked.duration };
}

/** @param {ToolResult} result */
function showList(result) {
  const openEntry = (/** @type {Entry} */ { id, task, details }) => {
    const back = () => {
      gallery.open();
      show(gallery);
      void gallery.read();
      /** @type {HTMLElement | null} */ (app.querySelector(`[data-id="${CSS.escape(id)}"]`))?.focus();
    };
    showTask({ id, task, details, back });
    /** @type {HTMLElement | null} */ (app.querySelector(".back"))?.focus();
    if (canCall() && offers("runway_getTask")) void view.read();
  };
  const gallery = galleryView(app, { result, args: () => (hasInput ? input : null), openEntry });
  show(gallery);
}

function showCancelled() {
  if (lastResult || textOf(input.taskId)) return;
  const where = "A task that had started goes on at Runway. Ask for the list of tasks to see it.";
  showMessage("The call was stopped", where);
}

function onVisible() {
  if (isVisible()) view?.follow();
}

handlers["ui/notifications/tool-input"] = ({ arguments: args }) => showInput(args, true);
handlers["ui/notifications/tool-input-partial"] = ({ arguments: args }) => showInput(args, false);
handlers["ui/notifications/tool-result"] = showResult;
handlers["ui/notifications/tool-cancelled"] = showCancelled;
handlers["ui/resource-teardown"] = () => view?.close();
onContext.push(() => view?.update());
document.addEventListener("visibilitychange", onVisible);
new IntersectionObserver((seen) => {
  isOnScreen = seen.at(-1)?.isIntersecting ?? true;
  onVisible();
}).observe(app);
connect(document.body.dataset.version ?? "", app).catch((error) =>
  showMessage("This view can't start", reasonOf(error)),
);
