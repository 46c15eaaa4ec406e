// Juliet's page with Strophe.js.

import { discovered, typeOf, user } from "./user.js";

const { Strophe, $msg, $pres } = window;
let connection, address, password, leaving;

user.logIn = async (asked, secret, transport) => {
  [address, password] = [`${asked}/strophe`, secret];
  user.service = await discovered(Strophe.getDomainFromJid(address), transport);
  connection = new Strophe.Connection(user.service, { enableStreamManagement: true });
  await new Promise((resolve, reject) => connect(resolve, reject));
};

function connect(resolve, reject) {
  connection.connect(address, password, (status, condition) => {
    if (status === Strophe.Status.CONNECTED) {
      connection.addHandler(hear, null, "message");
      if (connection.hasResumed()) user.resumptions++;
      else user.logins++, connection.send($pres());
      resolve();
    } else if (status === Strophe.Status.AUTHFAIL) {
      reject(new Error(`${address} is refused: ${condition}`));
    } else if (status === Strophe.Status.DISCONNECTED && leaving) {
      leaving();
    } else if (status === Strophe.Status.DISCONNECTED) {
      setTimeout(connect, 100, resolve, reject);
    }
  });
}

function hear(stanza) {
  const body = stanza.getElementsByTagName("body")[0];
  if (body) user.hear(stanza.getAttribute("from"), body.textContent);
  return true;
}

user.join = (room, nickname) => new Promise((resolve) => {
  const to = `${room}/${nickname}`;
  connection.addHandler(() => void resolve(), null, "presence", null, null, to);
  connection.send($pres({ to }).c("x", { xmlns: "http://jabber.org/protocol/muc" }));
});

user.say = async (to, text) => connection.send($msg({ to, type: typeOf(to) }).c("body").t(text));

user.logOut = () => new Promise((resolve) => {
  leaving = resolve;
  connection.disconnect();
});
