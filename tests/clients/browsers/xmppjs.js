// Juliet's page with @xmpp/client.

import { discovered, typeOf, user } from "./user.js";

const { client, xml } = window.XMPP;
let xmpp;

user.logIn = async (address, password, transport) => {
  const [username, domain] = address.split("@");
  user.service = await discovered(domain, transport);
  xmpp = client({ service: user.service, domain, username, password, resource: "xmppjs" });
  xmpp.reconnect.delay = 100;
  xmpp.timeout = 60_000; // by itself it gives the server two seconds for each step
  xmpp.on("error", (error) => user.problem = `${error}`);
  xmpp.on("stanza", hear);
  xmpp.on("online", () => user.logins++);
  xmpp.streamManagement.on("resumed", () => user.resumptions++);
  await xmpp.start();
  // What comes together with the server's consent to stream management, the library forgets to count.
  while (!xmpp.streamManagement.enabled) await new Promise((resolve) => setTimeout(resolve, 10));
  await xmpp.send(xml("presence"));
};

function hear(stanza) {
  // The library does not count answers to its own questions among what it has received, and would acknowledge too little.
  const isAnswer = stanza.name === "iq" && ["result", "error"].includes(stanza.attrs.type);
  if (isAnswer && xmpp.streamManagement.enabled) xmpp.streamManagement.inbound++;
  const body = stanza.name === "message" && stanza.getChildText("body");
  if (body) user.hear(stanza.attrs.from, body);
}

user.join = (room, nickname) => new Promise((resolve) => {
  const to = `${room}/${nickname}`;
  xmpp.on("stanza", (stanza) => stanza.name === "presence" && stanza.attrs.from === to && resolve());
  xmpp.send(xml("presence", { to }, xml("x", "http://jabber.org/protocol/muc")));
});

user.say = (to, text) => xmpp.send(xml("message", { to, type: typeOf(to) }, xml("body", {}, text)));

user.logOut = () => xmpp.stop();
