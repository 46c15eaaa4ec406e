// Two people log in with TLS through @xmpp/client, and one says COUNT things to the other.
//
//     node tls.mjs SERVICE PASSWORD COUNT
//
// The SERVICE is xmpp://localhost:PORT, where the library takes STARTTLS because it is offered, or xmpps://localhost:PORT for
// TLS from the first byte on. NODE_EXTRA_CA_CERTS names the authority that is trusted. Wants accounts for juliet and romeo.
// Prints "COUNT messages, in order"; exit status 0: so it was.

import { webcrypto } from "node:crypto";
import { client, xml } from "@xmpp/client";

globalThis.crypto ??= webcrypto; // the library takes it for granted, Debian's Node.js 18 does not have it there

const [service, password, countText] = process.argv.slice(2);
const count = Number(countText);

function fail(problem) {
  console.error(`${problem}`);
  process.exit(1);
}

setTimeout(() => fail("not within 60 s"), 60_000).unref();

async function logIn(username) {
  const person = client({ service, domain: "localhost", resource: "tls", username, password });
  // By itself it gives the server two seconds for each step.
  person.timeout = 60_000;
  person.on("error", fail);
  await person.start();
  await person.send(xml("presence"));
  return person;
}

const [juliet, romeo] = [await logIn("juliet"), await logIn("romeo")];
const heard = new Promise((resolve) => {
  let next = 1;
  romeo.on("stanza", (stanza) => {
    const body = stanza.is("message") && stanza.getChildText("body");
    // The library may have left the last messages of the run before unacknowledged, and the server has kept them for romeo.
    if (!body || stanza.getChild("delay")) return;
    if (body !== `${next}`) fail(`${body} came where ${next} was due`);
    if (next++ === count) resolve();
  });
});
for (let number = 1; number <= count; number++) {
  await juliet.send(xml("message", { to: "romeo@localhost/tls", type: "chat" }, xml("body", {}, `${number}`)));
}
await heard;
for (const person of [juliet, romeo]) {
  // What arrives while it ends the library may acknowledge behind its own closing tag: "write after end".
  person.off("error", fail);
  person.on("error", () => {});
}
await Promise.all([juliet.stop(), romeo.stop()]);
console.log(`${count} messages, in order`);
process.exit(0);
