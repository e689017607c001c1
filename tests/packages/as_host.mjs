// What a host makes of an unpacked bundle, by the official library: the command that starts its server.
//     node as_host.mjs LIBRARY BUNDLE FOLDER
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [library, bundle, folder] = process.argv.slice(2);
const { getMcpConfigForManifest } = await import(pathToFileURL(join(library, "dist/index.js")));
const config = await getMcpConfigForManifest({
  manifest: JSON.parse(readFileSync(join(bundle, "manifest.json"), "utf8")),
  extensionPath: bundle,
  systemDirs: {},
  userConfig: { api_key: "key_of_a_host", folder },
  pathSeparator: "/",
});
console.log(JSON.stringify(config));
