// Juliet, who uses a web page in Debian's Chromium.
//
//     node play.mjs strophe|xmppjs|converse websocket|bosh PORT AUTHORITY PASSWORD
//
// Who asks for https://localhost is sent to PORT, which has a certificate of AUTHORITY (a PEM file). She reads what to do from standard
// input, one thing a line, and answers each with a line that begins with it, when it is done:
//
//     login                 finds the server by host-meta, and logs in
//     type PERSON TEXT      says that to somebody, with the keyboard (Converse.js)
//     see TEXT              waits until it is on the page (Converse.js)
//     picture FILE          takes one of the page
//     close PERSON          closes the conversation (Converse.js)
//     join ROOM             enters it as Juliet
//     chat THERE COUNT      says COUNT numbered messages to that room or person, and hears as many
//     sleep                 the tab is frozen
//     wake THERE COUNT      it is not any more, and hears COUNT numbered messages
//     visit ORIGIN ADDRESS  opens a WebSocket from another page, of that origin
//     logout

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const [kind, transport, port, authority, password] = process.argv.slice(2);
const here = fileURLToPath(new URL(".", import.meta.url));
const own = "https://chat.example.org"; // where the pages are
const patience = 80_000; // milliseconds for each thing that must happen

const libraries = {
  strophe: `<script src="/node_modules/strophe.js/dist/strophe.umd.min.js"></script>`,
  xmppjs: `<script src="/node_modules/@xmpp/client/dist/xmpp.min.js"></script>`,
  converse: `<link rel="stylesheet" href="/node_modules/converse.js/dist/converse.min.css">`,
};
const html = `<!doctype html><meta charset="utf-8"><title>Juliet</title><body>${libraries[kind]}
  <script type="module" src="/${kind}.js"></script>`;

const home = mkdtempSync(join(tmpdir(), "megaphone-chromium-"));
const authorities = join(home, ".pki/nssdb");
mkdirSync(authorities, { recursive: true });
execFileSync("certutil", ["-N", "-d", `sql:${authorities}`, "--empty-password"]);
execFileSync("certutil", ["-A", "-d", `sql:${authorities}`, "-n", "test", "-t", "C,,", "-i", authority]);

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  env: { ...process.env, HOME: home },
  args: [`--host-resolver-rules=MAP localhost:443 127.0.0.1:${port}, MAP localhost 127.0.0.1, MAP * ^NOTFOUND`],
});
const context = await browser.newContext({ viewport: { width: 960, height: 600 } });
await context.grantPermissions(["local-network-access"]); // pages of the internet may not just connect to this machine
context.setDefaultTimeout(patience);
// No web server: whatever these origins have is read from here.
await context.route("https://*.example.org/**", (route) => {
  const { pathname } = new URL(route.request().url());
  if (pathname === "/") return route.fulfill({ contentType: "text/html", body: html });
  return existsSync(join(here, pathname)) ? route.fulfill({ path: join(here, pathname) }) : route.fulfill({ status: 404 });
});

const page = await context.newPage();
page.on("console", (line) => console.error(line.text()));
page.on("pageerror", (error) => console.error(`${error}`));

const cdp = await context.newCDPSession(page);

/** Waits until Romeo has said so many numbered messages, there or in person. */
async function heard(there, count) {
  const enough = ([there, count]) => user.others(there).length >= count;
  await page.waitForFunction(enough, [there, count], { timeout: patience, polling: 20 }).catch(async (problem) => {
    throw new Error(`${count} messages from ${there}: ${problem.message}; ${JSON.stringify(await page.evaluate(() => window.user))}`);
  });
}

/** What was heard there since this was asked last, and whether in order. */
async function told(there) {
  const numbers = await page.evaluate((there) => user.others(there).splice(0), there);
  return `${numbers.length} messages ${numbers.every((number, index) => number === index + 1) ? "in order" : `NOT IN ORDER: ${numbers}`}`;
}

const doing = {
  async login() {
    await page.goto(own);
    const all = ["juliet@localhost", password, transport];
    if (kind === "converse") {
      await page.evaluate((transport) => user.show("localhost", transport), transport);
      await page.fill("input[name=jid]", "juliet@localhost");
      await page.fill("input[name=password]", password);
      await page.press("input[name=password]", "Enter");
    }
    await page.evaluate((all) => user.logIn(...all), all);
    return page.evaluate(() => user.service);
  },

  async type(person, ...text) {
    await page.evaluate((person) => user.open(person), person);
    await page.fill("textarea", text.join(" "));
    await page.press("textarea", "Enter");
  },

  see: async (...text) => void await page.getByText(text.join(" ")).waitFor(),

  picture: async (path) => void await page.screenshot({ path }),

  close: (person) => page.evaluate((person) => user.close(person), person),

  join: (room) => page.evaluate((room) => user.join(room, "Juliet"), room),

  async chat(there, count) {
    for (let number = 1; number <= count; number += 20) {
      await page.evaluate((all) => user.sayMany(...all), [there, number, Math.min(number + 19, count), count]);
      if (number > 80) await heard(there, number - 80); // in step: what each has under way is bounded
      if (number === 501) console.log("half way");
    }
    await heard(there, count);
    return told(there);
  },

  sleep: async () => void await cdp.send("Page.setWebLifecycleState", { state: "frozen" }),

  async wake(there, count) {
    await cdp.send("Page.setWebLifecycleState", { state: "active" });
    await heard(there, count);
    return `${await told(there)}, ${await page.evaluate(() => `${user.logins} login, ${user.resumptions} resumption`)}`;
  },

  /** Whether a page of that origin gets a WebSocket. */
  async visit(origin, address) {
    const other = await context.newPage();
    await other.goto(origin);
    return other.evaluate((address) => new Promise((resolve) => {
      const socket = new WebSocket(address, "xmpp");
      socket.onopen = () => resolve("welcome");
      socket.onerror = () => resolve("turned away");
    }), address);
  },

  logout: () => page.evaluate(async () => void await user.logOut()),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [what, ...how] = line.split(" ");
  console.log(`${line}: ${await doing[what](...how) ?? "done"}`);
}
await browser.close();
