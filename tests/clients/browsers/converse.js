// Juliet's page with Converse.js.

import converse from "/node_modules/converse.js/dist/converse.min.js";
import { discovered, typeOf, user } from "./user.js";

let api;

converse.plugins.add("juliet", {
  initialize() {
    ({ api } = this._converse);
    api.listen.on("message", ({ attrs }) => attrs.body && user.hear(attrs.from, attrs.body));
    api.listen.on("connected", () => user.logins++);
    api.listen.on("reconnected", () => api.connection.get().restored ? user.resumptions++ : user.logins++);
  },
});

/** Shows the login form. Over WebSocket Converse.js finds the server itself; of two ways it would always take that one. */
user.show = async (domain, transport) => {
  const service = transport === "bosh"
    ? { bosh_service_url: await discovered(domain, transport), discover_connection_methods: false }
    : { discover_connection_methods: true };
  await converse.initialize({
    ...service,
    assets_path: "/node_modules/converse.js/dist/",
    auto_away: 0,
    blacklisted_plugins: ["converse-omemo"],
    loglevel: "warn",
    play_sounds: false,
    show_desktop_notifications: false,
    view_mode: "fullscreen",
    whitelisted_plugins: ["juliet"],
  });
};

/** The login form was filled in. */
user.logIn = async () => {
  await api.waitUntil("chatBoxesFetched");
  user.service = api.connection.get().service;
};

/** Shows the conversation with somebody. */
user.open = async (person) => void await api.chats.open(person, {}, true);

/** Shows it no more: a long one would be rendered again and again. */
user.close = async (person) => void await (await api.chats.get(person)).close();

user.join = async (room, nickname) => {
  const entered = await api.rooms.open(room, { nick: nickname });
  while (!entered.isEntered()) await new Promise((resolve) => setTimeout(resolve, 20));
};

user.say = async (to, text) => {
  const conversation = await (typeOf(to) === "groupchat" ? api.rooms.get(to) : api.chats.open(to));
  await conversation.sendMessage({ body: text });
};

user.logOut = () => api.user.logout();
