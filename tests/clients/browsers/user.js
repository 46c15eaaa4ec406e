// What the pages with the different clients have in common: Juliet, as the test sees her.

export const user = window.user = {
  /** The address of the server's WebSocket or BOSH. */
  service: undefined,
  logins: 0,
  resumptions: 0,
  problem: undefined,

  /** Numbered messages ("7 of 20"): the numbers that came from each sender. */
  numbers: {},

  hear(from, text) {
    const number = /^(\d+) of \d+/.exec(text);
    if (number) (this.numbers[from] ??= []).push(Number(number[1]));
  },

  /** The numbers that somebody else has said there: a room, or a person at any device. */
  others(there) {
    const from = Object.keys(this.numbers).find((from) => from.startsWith(there) && !from.endsWith("/Juliet"));
    return this.numbers[from] ?? [];
  },

  async sayMany(there, first, last, count) {
    for (let number = first; number <= last; number++) {
      await this.say(there, `${number} of ${count}: \u00e4 \u20ac \u{1F339} ]]> & <b/>`);
    }
  },
};

/** How a room is told from a person. */
export const typeOf = (there) => there.includes("@conference.") ? "groupchat" : "chat";

/** Asks the server where it is to be found (XEP-0156). */
export async function discovered(domain, transport) {
  const answer = await fetch(`https://${domain}/.well-known/host-meta`);
  const found = new DOMParser().parseFromString(await answer.text(), "text/xml");
  const relation = `urn:xmpp:alt-connections:${transport === "bosh" ? "xbosh" : transport}`;
  return [...found.getElementsByTagName("Link")].find((link) => link.getAttribute("rel") === relation).getAttribute("href");
}
