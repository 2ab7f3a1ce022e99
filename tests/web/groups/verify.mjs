// The self-check in the browser, against goldens that the native program writes.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const MODEL = "siglip";

export async function verify({ browser, server, report, fixtures, native, site }) {
  if (!native.exists) return report.skip("verify", native.missing);
  const group = report.group("verify");
  // A page of its own: the browser writes on its console that there is no goldens.json.
  const page = await browser.newPage();
  await page.goto(server.page);
  const ask = (folder) => page.evaluate((f) => web.load("verify", f).then(() => web.verify("verify")), folder);
  const said = ({ ok, goldens, off }) => JSON.stringify({ ok, goldens, off });
  const sound = said({ ok: true, goldens: true, off: null });

  native.quantize(fixtures.model(MODEL), site.path("verify"), "q8");
  const found = await ask(site.url("verify/"));
  group.same("a sound model", said(found), sound);
  group.holds(
    "kernels and steps",
    found.checks.length > 50 && found.checks.every((check) => check.ok && check.runs === 3),
    found.checks.length,
  );
  group.holds("adapter", found.adapter.length > 0);
  group.same("without goldens", said(await ask(`/fixtures/${MODEL}/`)), said({ ok: true, goldens: false, off: null }));

  // The goldens of another text: its first step is off.
  const path = join(site.path("verify"), "goldens.json");
  const goldens = JSON.parse(readFileSync(path, "utf8"));
  goldens.text.taps[1].values[0] += 0.1;
  writeFileSync(path, JSON.stringify(goldens));
  const wrong = await ask(site.url("verify/"));
  group.same("a changed golden", said(wrong), said({ ok: false, goldens: true, off: "text.block.0.qkv" }));
  group.rejects("a changed golden", said(wrong), sound);
  writeFileSync(path, "{}");
  const { code, message } = await page.evaluate(() => web.attempt(() => web.verify("verify")));
  group.same("broken goldens", code, "bad-checkpoint");
  group.holds("broken goldens are named", message.includes("goldens.json"), message);
  await page.close();
}
