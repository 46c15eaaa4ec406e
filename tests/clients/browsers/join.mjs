// Logs in on a page with Converse.js, with Debian's Chromium: node join.mjs URL ADDRESS PASSWORD

import { chromium } from "playwright-core";

const [url, address, password] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium" });
const page = await browser.newPage();
page.setDefaultTimeout(80_000);
page.on("console", (line) => console.log(line.text()));
await page.goto(url);
await page.fill("input[name=jid]", address);
await page.fill("input[name=password]", password);
await page.press("input[name=password]", "Enter");
await page.getByText("I am online").waitFor();
await browser.close();
