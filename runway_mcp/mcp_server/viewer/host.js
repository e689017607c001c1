/**
 * The MCP Apps protocol, 2026-01-26: JSON-RPC with the host, which is the parent window.
 *
 * @typedef {{type: string, text?: string}} Block
 * @typedef {{content?: Block[], structuredContent?: any, isError?: boolean, _meta?: any}} ToolResult
 */

const PROTOCOL = "2026-01-26";
const METHOD_NOT_FOUND = -32601;
/** No tool of ours takes so long. */
const CALL_MS = 120_000;

/** @type {Map<number, {resolve: (result: any) => void, reject: (error: Error) => void}>} */
const pending = new Map();
/** @type {Record<string, (params: any) => any>} What answers the host's requests and takes its notifications. */
const handlers = { ping: () => ({}) };
/** @type {any} What the host can do. */
let capabilities = {};
/** @type {any} How the host looks. */
let context = {};
/** @type {(() => void)[]} Called when the context changes. */
const onContext = [];
const hostFonts = document.createElement("style");
let lastId = 0;
let refusesCalls = false;
/** Not every host that calls tools declares it: one that does not is tried once. */
const canCall = () => !refusesCalls;

/** @param {object} message */
function send(message) {
  // The host's origin is unknown to a page in a sandbox. Nothing secret is sent.
  window.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
}

/**
 * @param {string} method
 * @param {object} params
 * @returns {Promise<any>} The result; rejects with the host's error.
 */
function request(method, params = {}) {
  const id = ++lastId;
  return new Promise((resolve, reject) => {
    pending.set(id, { resolve, reject });
    send({ id, method, params });
  });
}

/**
 * Call a tool of our server through the host.
 *
 * @param {string} name
 * @param {object} args
 * @returns {Promise<ToolResult>} An error result where the host refuses.
 */
async function callTool(name, args) {
  try {
    const call = request("tools/call", { name, arguments: args });
    const id = lastId;
    setTimeout(() => settle({ id, error: { message: "no answer in two minutes" } }), CALL_MS);
    return await call;
  } catch (error) {
    refusesCalls = !capabilities.serverTools;
    return { isError: true, content: [{ type: "text", text: `The call through your app failed: ${reasonOf(error)}` }] };
  }
}

/** @param {unknown} error */
function reasonOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @param {any} message */
function settle({ id, result, error }) {
  const call = pending.get(id);
  pending.delete(id);
  if (error) call?.reject(new Error(String(error.message ?? "unknown error")));
  else call?.resolve(result ?? {});
}

/** @param {any} message */
async function answer({ id, method, params }) {
  const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined;
  if (id === undefined) handler?.(params ?? {});
  else if (handler) send({ id, result: (await handler(params ?? {})) ?? {} });
  else send({ id, error: { code: METHOD_NOT_FOUND, message: `${method} is not known here` } });
}

window.addEventListener("message", (event) => {
  if (event.source !== window.parent || event.data?.jsonrpc !== "2.0") return;
  if (event.data.method === undefined) settle(event.data);
  else void answer(event.data);
});

/** @param {any} change */
function applyContext(change) {
  context = { ...context, ...change };
  const root = document.documentElement;
  if (context.theme) root.dataset.theme = context.theme;
  root.dataset.mode = context.displayMode ?? "inline";
  for (const [name, value] of Object.entries(change.styles?.variables ?? {})) {
    if (name.startsWith("--") && typeof value === "string") root.style.setProperty(name, value);
  }
  for (const [side, size] of Object.entries(change.safeAreaInsets ?? {})) {
    root.style.setProperty(`--inset-${side}`, `${Number(size)}px`);
  }
  const fonts = change.styles?.css?.fonts;
  if (fonts && fonts !== hostFonts.textContent) {
    hostFonts.textContent = fonts;
    document.head.append(hostFonts);
  }
  for (const call of onContext) call();
}

/** @param {Element} app Whose height the host is told. */
function reportSize(app) {
  let last = 0;
  const report = () => {
    const isFull = context.displayMode === "fullscreen";
    const height = isFull ? 0 : Math.ceil(app.getBoundingClientRect().height);
    if (height && height !== last) send({ method: "ui/notifications/size-changed", params: { height } });
    last = height;
  };
  new ResizeObserver(report).observe(app);
  onContext.push(report);
}

/**
 * Begin to talk with the host. Handlers must be set before.
 *
 * @param {string} version
 * @param {Element} app
 */
async function connect(version, app) {
  handlers["ui/notifications/host-context-changed"] = applyContext;
  const reply = await request("ui/initialize", {
    protocolVersion: PROTOCOL,
    appInfo: { name: "runway-mcp-viewer", version },
    appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
  });
  capabilities = reply.hostCapabilities ?? {};
  applyContext(reply.hostContext ?? {});
  send({ method: "ui/notifications/initialized", params: {} });
  reportSize(app);
}
