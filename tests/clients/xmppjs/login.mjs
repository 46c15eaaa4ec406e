// Juliet logs in through @xmpp/client, and what is said is written down.
//
//     node login.mjs SERVICE PASSWORD TOKEN
//
// TOKEN is a file: a token for the next login (XEP-0484), as JSON. It is used if it is there, and written if the server gives one.
// NODE_EXTRA_CA_CERTS names the authority that is trusted. Prints [">"|"<", TEXT] for what is sent and received. Exit status 0: she was in.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { webcrypto } from "node:crypto";
import { client, xml } from "@xmpp/client";

globalThis.crypto ??= webcrypto; // the library takes it for granted, Debian's Node.js 18 does not have it there

const [service, password, tokenFile] = process.argv.slice(2);

// A token is bound to this.
const userAgent = xml("user-agent", { id: "6e4b1f0a-8d0e-4a3c-9a35-0d9f0d1c7a11" });
const juliet = client({ service, domain: "localhost", resource: "login", username: "juliet", password, userAgent });
juliet.timeout = 60_000; // by itself it gives the server two seconds for each step
juliet.fast.fetchToken = async () => existsSync(tokenFile) ? JSON.parse(readFileSync(tokenFile)) : undefined;
juliet.fast.saveToken = async (token) => writeFileSync(tokenFile, JSON.stringify(token));

const write = (who, text) => console.log(JSON.stringify([who, `${text}`]));
const { write: send, _onData: receive } = juliet;
juliet.write = (text) => (write(">", text), send.call(juliet, text));
juliet._onData = (data) => (write("<", data), receive.call(juliet, data));

juliet.on("error", (error) => {
  console.error(`${error}`);
  process.exit(1);
});
juliet.on("online", () => process.exit(0));
await juliet.start();
