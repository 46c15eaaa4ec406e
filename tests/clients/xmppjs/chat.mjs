// Two people do what people do with XMPP, through @xmpp/client, and every stanza that they get is written down.
//
//     node chat.mjs PORT|ws://ADDRESS:PORT/PATH PASSWORD SCRAM-SHA-1|PLAIN COUNT
//
// Prints a transcript in which nothing depends on ids, times, ports, or order where order is not defined. Exit status 0:
// everything that was awaited came. Wants accounts for juliet and romeo that are as new, and leaves them like that.

import { webcrypto } from "node:crypto";
import { client, xml } from "@xmpp/client";
import { WebSocket } from "ws";

globalThis.WebSocket = WebSocket; // the one of Node.js, from 22 on, does not show its TCP connection
globalThis.crypto ??= webcrypto; // the library takes it for granted, Debian's Node.js 18 does not have it there

const [where, password, mechanism, countText] = process.argv.slice(2);
const count = Number(countText);
const room = "balcony@conference.localhost";
const juliet = "juliet@localhost", romeo = "romeo@localhost";
const patience = 60_000; // milliseconds for each thing that must happen

/** What differs from one run to the next. */
const varying = new Set(["id", "stamp", "ver", "xmlns:stream", "xmlns:xml"]);

/** An element without what varies; attributes in alphabetical order. */
function described(element) {
  if (typeof element === "string") return element.trim();
  const shown = Object.entries(element.attrs)
    .filter(([name, value]) => !varying.has(name) && value !== undefined && value !== "jabber:client")
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => ` ${name}='${value}'`);
  const inside = element.children.map(described).join("");
  return `<${element.name}${shown.join("")}` + (inside ? `>${inside}</${element.name}>` : "/>");
}

/** The promise's result, or a failure that says what was awaited. */
function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${patience} ms: ${what()}`)), patience);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The TCP connection of somebody's stream. */
const connection = (person) => person.xmpp.socket.socket?._socket ?? person.xmpp.socket;

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Somebody at one device, who writes down what comes. */
class Person {
  heard = [];
  numbers = new Map();
  #awaited = () => {};

  constructor(address) {
    const [bare, resource] = address.split("/");
    this.address = address;
    this.xmpp = client({
      service: where.includes("://") ? where : `xmpp://127.0.0.1:${where}`,
      domain: "localhost",
      resource,
      username: bare.split("@")[0],
      credentials: (authenticate, mechanisms) => {
        if (!mechanisms.includes(mechanism)) throw new Error(`${mechanism} is not offered, but ${mechanisms}`);
        return authenticate({ username: bare.split("@")[0], password }, mechanism);
      },
    });
    // Encryption is not what this is about, and the listeners that are compared do not offer the same; the library has no
    // option for it, so it does not get to see the offer.
    const onElement = this.xmpp._onElement;
    this.xmpp._onElement = function (element) {
      if (element.is("features")) element.remove("starttls");
      return onElement.call(this, element);
    };
    this.xmpp.reconnect.delay = 100;
    // By itself it gives the server two seconds for each step.
    this.xmpp.timeout = 60_000;
    this.xmpp.on("error", (error) => this.problem = error);
    this.xmpp.on("stanza", (stanza) => this.#writeDown(stanza));
  }

  #writeDown(stanza) {
    // The library does not count answers to its own questions among what it has received, and would acknowledge too little.
    const isAnswer = stanza.name === "iq" && ["result", "error"].includes(stanza.attrs.type);
    if (isAnswer && this.xmpp.streamManagement.enabled) this.xmpp.streamManagement.inbound++;
    // Pings are how this program finds out that nothing more is on its way.
    if (stanza.attrs.id?.startsWith("settled")) return;
    // The library says when it said something first if it says it again, and that depends on how far it got.
    let line = described(stanza).replace(/<delay from='romeo@localhost.phone'[^>]*>/, "");
    const number = stanza.name === "message" ? /(\d+) of \d+/.exec(line) : null;
    if (number) {
      this.numbers.set(stanza.attrs.from, [...(this.numbers.get(stanza.attrs.from) ?? []), Number(number[1])]);
      line = line.replace(number[0], "# of #");
    }
    this.heard.push(line);
    this.#awaited();
  }

  async logIn() {
    await within(this.xmpp.start(), () => `${this.address}'s login: ${this.problem}`);
    // What comes together with the server's consent to stream management, the library forgets to count.
    const deadline = Date.now() + patience;
    while (!this.xmpp.streamManagement.enabled && Date.now() < deadline) await pause(10);
    console.log(`${this.address} logged in with ${mechanism}`);
  }

  async logOut() {
    await within(this.xmpp.stop(), () => `the end of ${this.address}'s stream`);
  }

  send(name, attributes, ...children) {
    return this.xmpp.send(xml(name, attributes, ...children));
  }

  say(to, text) {
    return this.send("message", { to, type: "chat" }, xml("body", {}, text));
  }

  ask(type, to, child) {
    return this.xmpp.iqCaller.request(xml("iq", { type, to }, child), patience);
  }

  /** Waits until so many stanzas have come since told() was called last. */
  hears(wanted) {
    const enough = new Promise((resolve) => {
      this.#awaited = () => this.heard.length >= wanted && resolve();
      this.#awaited();
    });
    return within(enough, () => `${wanted} stanzas for ${this.address} (${this.problem}); there are\n${this.told()}`);
  }

  /** What was sent to this person before has come: the server answers in order. */
  settled() {
    const id = `settled-${Math.random()}`;
    return this.xmpp.iqCaller.request(xml("iq", { type: "get", to: "localhost", id }, xml("ping", "urn:xmpp:ping")), patience);
  }

  /** What was heard since this was asked last, to be compared. */
  told() {
    const times = new Map();
    for (const line of this.heard) times.set(line, (times.get(line) ?? 0) + 1);
    const lines = [...times].map(([line, often]) => `    ${often} × ${line}`).sort();
    for (const [sender, numbers] of [...this.numbers].sort()) {
      const inOrder = numbers.every((number, index) => number === index + 1);
      lines.push(`    ${numbers.length} numbered messages from ${sender}, ${inOrder ? "in order" : `NOT IN ORDER: ${numbers}`}`);
    }
    this.heard = [];
    this.numbers = new Map();
    return [`  ${this.address}`, ...lines].join("\n");
  }
}

/** Waits until each person has heard so many stanzas, and tells them all: what, and how often. */
async function phase(title, expected, { settle = true } = {}) {
  for (const [person, wanted] of expected) await person.hears(wanted);
  if (settle) for (const [person] of expected) await person.settled();
  console.log(title);
  for (const [person] of expected) console.log(person.told());
}

async function play() {
  const j = new Person(`${juliet}/balcony`), r = new Person(`${romeo}/orchard`), phone = new Person(`${romeo}/phone`);
  const roster = (...items) => xml("query", "jabber:iq:roster", ...items);

  for (const person of [j, r]) {
    await person.logIn();
    await person.ask("get", undefined, roster());
    await person.send("presence");
  }
  // The answers to bind and to the roster request, and own presence.
  await phase("login", [[j, 3], [r, 3]]);

  await j.send("presence", { to: romeo, type: "subscribe" });
  await r.hears(1);
  await r.send("presence", { to: juliet, type: "subscribed" });
  await r.send("presence", { to: juliet, type: "subscribe" });
  await j.hears(6);
  await j.send("presence", { to: romeo, type: "subscribed" });
  await phase("subscription", [[j, 7], [r, 6]]);

  const item = xml("item", { jid: romeo, name: "My Romeo" }, xml("group", {}, "Montagues"), xml("group", {}, "Löve & <hate>"));
  await j.ask("set", undefined, roster(item));
  await j.ask("get", undefined, roster());
  await phase("roster", [[j, 3]]);

  await j.ask("set", undefined, xml("vCard", "vcard-temp", xml("FN", {}, "Juliet Capulet"), xml("NICKNAME", {}, "jule")));
  await j.ask("get", juliet, xml("vCard", "vcard-temp"));
  await r.ask("get", juliet, xml("vCard", "vcard-temp"));
  await phase("vCard", [[j, 2], [r, 1]]);

  await j.ask("get", "localhost", xml("query", "http://jabber.org/protocol/disco#info"));
  await j.ask("get", "localhost", xml("query", "http://jabber.org/protocol/disco#items"));
  await phase("disco", [[j, 2]]);

  const muc = () => xml("x", "http://jabber.org/protocol/muc", xml("history", { maxchars: "0" }));
  await j.send("presence", { to: `${room}/Juliet` }, muc());
  // Presence of the room, of oneself, and the subject.
  await j.hears(3);
  await r.send("presence", { to: `${room}/Romeo` }, muc());
  await phase("room, joined", [[j, 4], [r, 4]]);
  for (let number = 1; number <= 20; number++)
    for (const person of [j, r]) await person.send("message", { to: room, type: "groupchat" }, xml("body", {}, `${number} of 20`));
  await phase("room, talk", [[j, 40], [r, 40]]);
  await r.send("presence", { to: `${room}/Romeo`, type: "unavailable" });
  await phase("room, one left", [[j, 1], [r, 2]]);
  await j.send("presence", { to: `${room}/Juliet`, type: "unavailable" });
  await phase("room, both left", [[j, 2]]);

  for (let number = 1; number <= count; number++) {
    // ASCII only: the library takes what TCP brings for whole characters.
    await j.say(r.address, `${number} of ${count}: ]]> & <b/>`);
    await r.say(j.address, `${number} of ${count}: ${"=".repeat((number % 5) * 100)}`);
  }
  await phase(`${count} messages each way`, [[j, count], [r, count]]);

  await phone.logIn();
  await phone.send("presence");
  await phone.ask("set", undefined, xml("enable", "urn:xmpp:carbons:2"));
  // Bind; own presence, that of the other device and of juliet; the answer about carbons.
  await phase("a second device", [[phone, 5], [r, 1], [j, 1]]);
  await j.say(r.address, "to the orchard, äöü € 😀");
  await phone.hears(1);
  await r.say(j.address, "from the orchard");
  await phase("carbons", [[j, 1], [r, 1], [phone, 2]]);

  await phone.send("inactive", { xmlns: "urn:xmpp:csi:0" });
  await pause(300); // nothing answers it
  for (const mood of ["away", "dnd"]) await j.send("presence", {}, xml("show", {}, mood));
  await r.hears(2);
  await pause(300); // what was not held back would be here
  await phase("inactive: presence waits", [[j, 2], [r, 2], [phone, 0]], { settle: false });
  await phone.send("active", { xmlns: "urn:xmpp:csi:0" });
  await phase("active again", [[phone, 1]]);

  // The phone is cut off in a tunnel: messages that the server sent are never read, some come in meanwhile, and what the
  // phone says last may get through or not. After the tunnel nothing is lost and nothing doubled, in either direction. What comes in
  // meanwhile does so when the server has noticed the cut: ejabberd's own WebSocket listener, which is compared, may block for 15
  // seconds if it sends just then, and refuses the resumption for it.
  await phone.settled();
  await pause(300); // what it has received is acknowledged too
  connection(phone).pause();
  for (let number = 1; number <= 5; number++) await j.say(phone.address, `${number} of 10 in the tunnel`);
  await j.settled();
  await pause(300); // they are on their way to nowhere now
  const resumed = new Promise((resolve) => phone.xmpp.streamManagement.once("resumed", resolve));
  for (let number = 1; number <= 3; number++) await phone.say(j.address, `${number} of 3 into the tunnel`);
  phone.xmpp.reconnect.delay = 2000;
  connection(phone).resetAndDestroy();
  await pause(1000);
  for (let number = 6; number <= 10; number++) await j.say(phone.address, `${number} of 10 in the tunnel`);
  await j.settled();
  await within(resumed, () => `the resumed session: ${phone.problem}`);
  await phase("resumed", [[phone, 10], [j, 3]]);

  await phone.logOut();
  await r.hears(1);
  console.log("phone leaves");
  console.log(r.told());
  await r.logOut();
  await phase("romeo leaves", [[j, 2]]);
  for (let number = 1; number <= 3; number++) await j.say(romeo, `${number} of 3 for later`);
  await j.settled();
  const again = new Person(`${romeo}/orchard`);
  await again.logIn();
  await again.send("presence");
  // Bind, own presence and the other one's, three messages.
  await phase("offline messages", [[again, 6], [j, 1]]);

  await j.ask("set", undefined, roster(xml("item", { jid: romeo, subscription: "remove" })));
  await j.ask("set", undefined, xml("vCard", "vcard-temp"));
  await phase("juliet forgets", [[j, 4], [again, 5]]);
  await again.ask("set", undefined, roster(xml("item", { jid: juliet, subscription: "remove" })));
  await phase("romeo forgets", [[again, 2], [j, 0]]);
  await j.logOut();
  await again.logOut();
  console.log("all logged out");
}

// Straight out: after a failure, whoever is still logged in would keep this going.
play().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
