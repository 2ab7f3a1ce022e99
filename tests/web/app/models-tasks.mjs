// The page "Models": those of the tasks beside labels.

/** Each in a list of its own. */
export async function otherTasks(page, { group, incomplete, axe, shots }) {
  for (const [tool, words, least] of [
    ["Find", /OWLv2 base/, 2],
    ["Cut out", /CLIPSeg/, 1],
    ["Ask", /SmolVLM 256M/, 2],
  ]) {
    await page.getByRole("list", { name: "Tools" }).getByRole("link", { name: tool }).press("Enter");
    const rows = page.getByRole("list", { name: `Models for ${tool}` }).getByRole("listitem");
    await rows.first().waitFor();
    const said = (await rows.allInnerTexts()).filter((text) => !text.startsWith("Ocelli tiny")); // those come with the app
    group.same(
      `${tool}: each with size, licence and what it sees`,
      [...incomplete(said), said.length >= least],
      [true],
    );
    group.holds(`${tool}: one to begin with`, words.test(said.find((text) => /recommended/.test(text)) ?? ""));
    if (tool === "Cut out") {
      const cautions = (all) => all.filter((text) => text.includes("doesn't cover the weights")).length;
      group.same("a licence to check first", [cautions(said)], [1]);
      group.rejects("none", [cautions([])], [1]);
    }
    group.same(`${tool}: none is in use`, [await page.getByText("None. Choose one below.").count()], [1]);
    group.same(`${tool}: axe`, await axe(page), []);
  }
  await shots(page, "models-ask");
}
