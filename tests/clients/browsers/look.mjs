// An operator who looks at a page in Debian's Chromium.
//
//     node look.mjs ADDRESS
//
// Reads what to do from standard input, one thing a line, and answers each with a line that begins with it, when it is done:
//
//     tile TEXT             waits until there is a tile that says that: "Clients 2"
//     see TEXT              waits until it is on the page
//     find TEXT             says whether it is there
//     color SCHEME          prefers "light" or "dark", and says which colors text and page have
//     width PIXELS          makes the window so wide, and says whether the page fits into it
//     picture FILE          takes one of the whole page
//     noticed               says which other hosts were asked, and what the page has complained of

import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [address] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium" });
const context = await browser.newContext({ viewport: { width: 1000, height: 800 } });
context.setDefaultTimeout(80_000);
const page = await context.newPage();
const noticed = [];
page.on("console", (line) => { if (line.type() !== "log") noticed.push(line.text()); });
page.on("pageerror", (error) => noticed.push(`${error}`));
page.on("request", (request) => {
  if (!/^(data:|blob:)/.test(request.url()) && !request.url().startsWith(address)) noticed.push(request.url());
});
await page.goto(address);

const doing = {
  async tile(...text) {
    const says = (text) =>
      [...document.querySelectorAll(".card")].some((card) => [...card.children].map((one) => one.textContent).join(" ") === text);
    await page.waitForFunction(says, text.join(" "));
  },

  see: async (...text) => void await page.getByText(text.join(" ")).first().waitFor(),

  find: async (...text) => (await page.content()).includes(text.join(" ")) ? "there" : "not there",

  async color(scheme) {
    await page.emulateMedia({ colorScheme: scheme });
    return page.evaluate(() => `${getComputedStyle(document.body).color} on ${getComputedStyle(document.body).backgroundColor}`);
  },

  async width(pixels) {
    await page.setViewportSize({ width: +pixels, height: 800 });
    return await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth) ? "fits" : "does not fit";
  },

  picture: async (path) => void await page.screenshot({ path, fullPage: true }),

  noticed: () => noticed.length ? noticed.join("; ") : "nothing",
};

for await (const line of createInterface({ input: process.stdin })) {
  const [what, ...how] = line.split(" ");
  console.log(`${line}: ${await doing[what](...how) ?? "done"}`);
}
await browser.close();
