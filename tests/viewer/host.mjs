/** A host of MCP Apps made of the official app-bridge. The tests drive it by `host`, and read what it saw there. */

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { AppBridge, buildAllowAttribute, getToolUiResourceUri, PostMessageTransport } from "@modelcontextprotocol/ext-apps/app-bridge";

const MIME_TYPE = "text/html;profile=mcp-app";
const host = (globalThis.host = { calls: [], messages: [], links: [], modes: [], models: [], answers: {}, refuses: false, connect, call, open, deliver, change });
let client, bridge;

/** Connect to the server at this URL. */
async function connect(url) {
  const extensions = { "io.modelcontextprotocol/ui": { mimeTypes: [MIME_TYPE] } };
  client = new Client({ name: "host", version: "1" }, { capabilities: { extensions } });
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
}

function call(name, args) {
  return client.callTool({ name, arguments: args });
}

/** Show the app of a tool, up to the tool's arguments. `proxy` is the address of the sandbox proxy. */
async function open({ tool, args, context, capabilities, proxy }) {
  const { tools } = await client.listTools();
  const uri = getToolUiResourceUri(tools.find(({ name }) => name === tool));
  const { contents } = await client.readResource({ uri });
  const { text: html, mimeType, _meta } = contents[0];
  if (mimeType !== MIME_TYPE) throw new Error(`not an app: ${mimeType}`);
  const { csp, permissions } = _meta.ui;
  host.html = html;

  const frame = document.createElement("iframe");
  frame.title = "App";
  frame.sandbox = "allow-scripts allow-same-origin";
  frame.allow = buildAllowAttribute(permissions);
  bridge = new AppBridge(null, { name: "host", version: "1" }, { serverTools: {}, openLinks: {}, message: { text: {} }, updateModelContext: { text: {} }, ...capabilities }, { hostContext: context });
  bridge.oncalltool = ({ name, arguments: given }) => {
    host.calls.push({ name, args: given, at: Date.now() });
    const answer = host.answers[name];
    return answer ? (Array.isArray(answer) ? (answer.length > 1 ? answer.shift() : answer[0]) : answer) : call(name, given);
  };
  bridge.onmessage = async ({ content }) => (host.messages.push(content[0].text), { isError: host.refuses });
  bridge.onopenlink = async ({ url }) => (host.links.push(url), { isError: host.refuses });
  bridge.onupdatemodelcontext = async ({ content }) => (host.models.push(content[0].text), {});
  bridge.onrequestdisplaymode = async ({ mode }) => (host.modes.push(mode), change({ displayMode: mode }), { mode });
  bridge.onsizechange = ({ height }) => (frame.style.height = `${height}px`);
  const once = (name) => new Promise((resolve) => bridge.addEventListener(name, resolve));
  const [ready, initialized] = [once("sandboxready"), once("initialized")];
  frame.src = `${proxy}?csp=${encodeURIComponent(policy(csp ?? {}))}`;
  document.documentElement.dataset.theme = context.theme;
  document.body.append(frame);
  await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
  await ready;
  await bridge.sendSandboxResourceReady({ html, sandbox: "allow-scripts", csp, permissions });
  await initialized;
  if (args) await bridge.sendToolInput({ arguments: args });
  host.opened = { tool, args };
}

/** Hand over the result: this one, or what the tool answers. */
async function deliver(result) {
  const { tool, args } = host.opened;
  const found = result ?? (await call(tool, args));
  host.delivered = Date.now();
  await bridge.sendToolResult(found);
}

function change(context) {
  return bridge.sendHostContextChange(context);
}

/** The specification's content security policy: nothing but what the resource names. */
function policy({ resourceDomains = [], connectDomains = [] }) {
  const resources = resourceDomains.join(" ");
  return [
    "default-src 'none'",
    `script-src 'self' 'unsafe-inline' ${resources}`,
    `style-src 'self' 'unsafe-inline' ${resources}`,
    `img-src 'self' data: ${resources}`,
    `media-src 'self' data: ${resources}`,
    `font-src 'self' ${resources}`,
    `connect-src ${connectDomains.join(" ") || "'none'"}`,
    "frame-src 'none'",
    "object-src 'none'",
    "base-uri 'self'",
  ].join("; ");
}
