// Our tools as Vercel's AI SDK gives them to a model. `scripts/hosts` runs it, where that SDK is installed.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.cwd()}/`);
const from = (name) => import(pathToFileURL(require.resolve(name)).href);
const { createMCPClient } = await from("@ai-sdk/mcp");
const { Experimental_StdioMCPTransport: Transport } = await from("@ai-sdk/mcp/mcp-stdio");
const { asSchema } = await from("ai");
const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version;
const command = process.argv.slice(2, -1);
const calls = JSON.parse(process.argv.at(-1));

const client = await createMCPClient({ transport: new Transport({ command: command[0], args: command.slice(1) }) });
const made = await client.tools();
const tools = {};
for (const [name, tool] of Object.entries(made)) {
  tools[name] = { description: tool.description, parameters: await asSchema(tool.inputSchema).jsonSchema };
}
const answers = [];
for (const [name, given] of calls) {
  answers.push(JSON.stringify(await made[name].execute(given, { toolCallId: "1", messages: [] })));
}
await client.close();
console.log(JSON.stringify({ sdk: `ai ${version("ai")}, @ai-sdk/mcp ${version("@ai-sdk/mcp")}`, tools, answers }));
