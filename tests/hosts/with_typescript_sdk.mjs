// Our tools as the TypeScript SDK of MCP lists and calls them. `scripts/hosts` runs it, where that SDK is installed.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.cwd()}/`);
const from = (name) => import(pathToFileURL(require.resolve(name)).href);
const { Client } = await from("@modelcontextprotocol/client");
const { StdioClientTransport } = await from("@modelcontextprotocol/client/stdio");
const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version;
const command = process.argv.slice(2, -1);
const calls = JSON.parse(process.argv.at(-1));

const client = new Client({ name: "judge", version: "1" });
await client.connect(new StdioClientTransport({ command: command[0], args: command.slice(1) }));
const tools = {};
for (const tool of (await client.listTools()).tools) {
  tools[tool.name] = { description: tool.description, parameters: tool.inputSchema };
}
const answers = [];
for (const [name, given] of calls) {
  answers.push(JSON.stringify(await client.callTool({ name, arguments: given })));
}
await client.close();
console.log(JSON.stringify({ sdk: `@modelcontextprotocol/client ${version("@modelcontextprotocol/client")}`, tools, answers }));
