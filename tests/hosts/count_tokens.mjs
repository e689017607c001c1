// Counts the tokens that our tools cost a model on every turn, and fails over the limit. `scripts/hosts` runs it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.cwd()}/`);
const { encode } = await import(pathToFileURL(require.resolve("gpt-tokenizer")).href);
const [file, limit] = process.argv.slice(2);
const tools = JSON.parse(readFileSync(file));
const count = encode(JSON.stringify(tools)).length;
console.log(`tools/list: ${count} tokens (o200k_base), at most ${limit}`);
process.exit(count < Number(limit) ? 0 : 1);
