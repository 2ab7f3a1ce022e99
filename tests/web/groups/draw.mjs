// `ocelli/draw`: where boxes, labels and masks land on a real canvas, by its pixels.
import { different } from "../lib/report.mjs";

const ORANGE = [230, 159, 0, 255];
const RED = [255, 0, 0, 255];
/** Its pixels in a picture of 60 × 40. */
const BOX = { x: 10, y: 5, width: 20, height: 15 };
const LINES = { lineWidth: 2, text: "" };
const SMALL = { width: 61, height: 37, color: "#fff" };
const CONTRAST = 3;

export async function draw(test) {
  const page = await test.browser.newPage();
  const fetched = [];
  page.on("response", (response) => fetched.push(response.url()));
  await page.goto(test.server.page);
  fetched.length = 0;
  await page.evaluate(drawing);
  small({ ...test, fetched });
  for (const part of [boxes, labels, colors, masks, pictures, refused]) await part({ page, report: test.report });
  await page.close();
}

/** The tests' half inside the page. */
async function drawing() {
  const ocelli = await import("/site/node_modules/ocelli/dist/draw/index.js");
  const filled = (width, height, color) => {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    Object.assign(context, { fillStyle: color });
    context.fillRect(0, 0, width, height);
    return canvas;
  };
  const pixels = (canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  /** `text: ""` and other fixed words, as functions. */
  const told = ({ text, ...options }) => (text === undefined ? options : { ...options, text: () => text });
  const red = () => filled(60, 40, "#f00");
  const forms = {
    canvas: () => Object.assign(document.createElement("canvas"), { width: 60, height: 40 }),
    OffscreenCanvas: red,
    ImageBitmap: () => createImageBitmap(red()),
    ImageData: () => pixels(red()),
    VideoFrame: () => new VideoFrame(red(), { timestamp: 0 }),
    HTMLImageElement: async () => {
      const image = new Image(7, 7);
      image.src = URL.createObjectURL(await red().convertToBlob());
      await image.decode();
      return image;
    },
  };
  const wrong = {
    "a Blob": () => red().convertToBlob(),
    "detections in its place": () => [],
    "a word": () => "cat.png",
    "an image that has not loaded": () => new Image(),
    "a closed bitmap": async () => {
      const bitmap = await createImageBitmap(red());
      bitmap.close();
      return bitmap;
    },
  };
  const code = async (call) => {
    try {
      await call();
      return "none";
    } catch (error) {
      return error.name === "OcelliError" ? error.code : String(error);
    }
  };
  globalThis.draw = {
    /** The pixels of a canvas with boxes on it, `on` being how large and of which colour it was. */
    boxes(found, options, on = { width: 60, height: 40, color: "#f00" }) {
      const canvas = filled(on.width, on.height, on.color);
      ocelli.drawBoxes(canvas, null, found, told(options));
      return [...pixels(canvas).data];
    },
    /** The same of one pixel. */
    pixel: (found, options, on, x, y) =>
      globalThis.draw
        .boxes(found, options, on)
        .slice(4 * (y * on.width + x))
        .slice(0, 4),
    /** What a label covers, [left, top, right, bottom]: what differs from the same box without one. */
    label(found, options, on) {
      const [without, given] = [{ text: "" }, options].map((o) => globalThis.draw.boxes(found, o, on));
      const places = [];
      for (let i = 0; i < given.length; i++) if (given[i] !== without[i]) places.push(i >> 2);
      const [xs, ys] = [places.map((i) => i % on.width), places.map((i) => Math.floor(i / on.width))];
      const end = (list, most) => list.reduce((a, b) => (most ? Math.max(a, b) : Math.min(a, b)), most ? -1 : Infinity);
      return [end(xs), end(ys), end(xs, true) + 1, end(ys, true) + 1];
    },
    mask(mask, options, on) {
      const canvas = filled(on.width, on.height, on.color);
      ocelli.drawMask(canvas, mask, options);
      return [...pixels(canvas).data];
    },
    async picture(form, found, options) {
      const canvas = document.createElement("canvas");
      const picture = await forms[form]();
      if (form === "canvas") picture.getContext("2d").drawImage(red(), 0, 0);
      ocelli.drawBoxes(canvas, picture, found, told(options));
      const boxes = [canvas.width, canvas.height, ...pixels(canvas).data];
      canvas.width = 3;
      ocelli.drawMask(canvas, { width: 1, height: 1, bits: [0] }, { picture });
      return { boxes, mask: [canvas.width, canvas.height, ...pixels(canvas).data] };
    },
    colors: (count) =>
      Array.from({ length: count }, (_, index) => [...pixels(filled(1, 1, ocelli.labelColor(index))).data]),
    async refused() {
      const codes = {};
      const canvas = () => document.createElement("canvas");
      for (const [name, make] of Object.entries(wrong)) {
        const picture = await make();
        codes[name] = await code(() => ocelli.drawBoxes(canvas(), picture, []));
      }
      const box = { x: 0, y: 0, width: NaN, height: 1 };
      codes["a box without a size"] = await code(() => ocelli.drawBoxes(canvas(), null, [{ box }]));
      codes["no box"] = await code(() => ocelli.drawBoxes(canvas(), null, [{ label: "cat" }]));
      codes["a mask cut short"] = await code(() => ocelli.drawMask(canvas(), { width: 2, height: 2, bits: [1] }));
      codes["a canvas of another kind"] = await code(() => {
        const other = canvas();
        other.getContext("bitmaprenderer");
        ocelli.drawBoxes(other, null, []);
      });
      codes["what is right"] = await code(() => ocelli.drawBoxes(canvas(), red(), [{ box: { ...box, width: 1 } }]));
      return codes;
    },
  };
}

function small({ report, fetched, site, server }) {
  const group = report.group("ocelli/draw: what it fetches");
  const names = fetched.map((url) => url.slice(server.url.length));
  group.holds("its file", names.includes("site/node_modules/ocelli/dist/draw/index.js"), names);
  const heavy = (list) => list.filter((name) => !/\/dist\/(draw\/index|chunk-\w+)\.js$/.test(name));
  group.same("nothing else but a shared piece", heavy(names), []);
  group.holds("two files at most", names.length <= 2, names);
  group.rejects("the engine", heavy([...names, "site/node_modules/ocelli/dist/ocelli_bg.wasm"]), []);
}

/** The pixels of one colour, as [left, top, right, bottom]; right and bottom are beyond them. */
function extent(pixels, width, color) {
  const found = [Infinity, Infinity, 0, 0];
  for (let i = 0; i < pixels.length; i += 4) {
    const [x, y] = [(i / 4) % width, Math.floor(i / 4 / width)];
    if (different(pixels.slice(i, i + 4), color) > 0) continue;
    found[0] = Math.min(found[0], x);
    found[1] = Math.min(found[1], y);
    found[2] = Math.max(found[2], x + 1);
    found[3] = Math.max(found[3], y + 1);
  }
  return found;
}

const at = (pixels, width, x, y) => pixels.slice(4 * (y * width + x), 4 * (y * width + x) + 4);

async function boxes({ page, report }) {
  const group = report.group("ocelli/draw: boxes");
  const drawn = (box, options, on) =>
    page.evaluate(([f, o, c]) => draw.boxes(f, o, c ?? undefined), [[{ index: 0, box }], options, on]);
  const edges = [10, 5, 30, 20];
  const plain = await drawn(BOX, LINES);
  group.same("edges", extent(plain, 60, ORANGE), edges);
  for (const [x, y] of [
    [10, 5],
    [11, 6],
    [29, 19],
    [28, 18],
  ])
    group.same(`line at ${x}, ${y}`, at(plain, 60, x, y), ORANGE);
  group.same("beside it", at(plain, 60, 9, 5), RED);
  group.same("inside", at(plain, 60, 20, 12), RED);
  group.rejects("a box that is one pixel off", extent(await drawn({ ...BOX, x: 11 }, LINES), 60, ORANGE), edges);
  group.rejects(
    "a corner taken for a size",
    extent(await drawn({ ...BOX, width: 30, height: 20 }, LINES), 60, ORANGE),
    edges,
  );
  const shares = { x: 10 / 60, y: 5 / 40, width: 20 / 60, height: 15 / 40 };
  group.same("shares", await drawn(shares, { ...LINES, normalized: true }), plain);
  const large = { width: 120, height: 80, color: "#f00" };
  const twice = await drawn(BOX, { ...LINES, size: { width: 60, height: 40 } }, large);
  group.same("a canvas twice as large", extent(twice, 120, ORANGE), [20, 10, 60, 40]);
  group.rejects("the same without a size", extent(await drawn(BOX, LINES, large), 120, ORANGE), [20, 10, 60, 40]);
  const beyond = await drawn({ x: -20, y: 20, width: 200, height: 10 }, LINES);
  group.same("no line at the canvas' edge for a box beyond it", at(beyond, 60, 0, 25), RED);
  const wide = { width: 1200, height: 900, color: "#f00" };
  const far = (x) => page.evaluate(([f, c, x]) => draw.pixel(f, { text: "" }, c, x, 12), [[{ box: BOX }], wide, x]);
  group.same("lines grow with the canvas", await far(13), ORANGE);
  group.same("and end there", different(await far(17), ORANGE) > 0, true);
  const order = [
    { index: 0, box: BOX },
    { index: 1, box: BOX },
  ];
  const both = await page.evaluate(([f, o]) => draw.boxes(f, o), [order, LINES]);
  group.same("the best is on top", at(both, 60, 10, 5), ORANGE);
}

async function labels({ page, report }) {
  const group = report.group("ocelli/draw: labels stay on the canvas");
  const tag = (box, on, text) => {
    const found = [{ label: "a cat", score: 0.934, index: 2, box }];
    return page.evaluate(([f, o, c]) => draw.label(f, o, c), [found, text === undefined ? {} : { text }, on]);
  };
  const size = ([left, top, right, bottom]) => [right - left, bottom - top];
  const on = { width: 640, height: 480, color: "#fff" };
  const whole = size(await tag({ x: 300, y: 200, width: 200, height: 100 }, on));
  group.holds("a label of some size", whole[0] > 40 && whole[1] > 10, whole);
  const places = {
    "top left": { x: 0, y: 0, width: 200, height: 100 },
    "top right": { x: 630, y: 0, width: 10, height: 100 },
    "bottom left": { x: 0, y: 470, width: 300, height: 10 },
    "bottom right": { x: 635, y: 475, width: 5, height: 5 },
    "beyond the top": { x: 100, y: -300, width: 100, height: 400 },
    "beyond the right": { x: 600, y: 100, width: 500, height: 50 },
    "beyond the bottom": { x: 100, y: 440, width: 50, height: 500 },
    "all over": { x: -100, y: -100, width: 2000, height: 2000 },
  };
  for (const [name, box] of Object.entries(places)) group.same(name, size(await tag(box, on)), whole);
  const cut = await tag(places["top right"], { ...on, width: 632 });
  group.rejects("a label that is cut", [cut[2] - cut[0] - 1, cut[3] - cut[1]], whole);
  const blank = await page.evaluate((c) => draw.boxes([], {}, c), SMALL);
  for (const [name, box] of Object.entries({
    "a box outside": { x: 61, y: 0, width: 10, height: 10 },
    "a box without an area": { x: 5, y: 37, width: 24, height: 0 },
  }))
    group.same(
      name,
      await page.evaluate(([b, c]) => draw.boxes([{ label: "cat", box: b }], {}, c), [box, SMALL]),
      blank,
    );
  const long = "a very long description of what there may be in a picture ".repeat(5);
  const [left, , right] = await tag(places["all over"], on, long);
  group.same("a label wider than the canvas", [left, right], [0, 640]);
  for (const [width, height] of [
    [61, 37],
    [7, 5],
    [1, 1],
  ]) {
    const box = { x: 0, y: 0, width, height };
    const [left, top, right, bottom] = await tag(box, { width, height, color: "#fff" });
    group.holds(`${width} × ${height}`, left >= 0 && top >= 0 && right <= width && bottom <= height && right > left);
  }
}

async function colors({ page, report }) {
  const group = report.group("ocelli/draw: colours");
  const all = await page.evaluate(() => draw.colors(40));
  const apart = (list) => new Set(list.map(String)).size;
  group.same("40 labels", apart(all), 40);
  group.rejects("a label with another's colour", apart(all.with(3, all[9])), 40);
  group.same("the first is that of the command line", all[0], ORANGE);
  for (const [ground, rgb] of [
    ["#fff", [255, 255, 255]],
    ["#000", [0, 0, 0]],
  ]) {
    const least = async (options) => {
      const found = all.map((_, index) => ({ index, box: { x: 12 * index, y: 0, width: 12, height: 12 } }));
      const on = { width: 480, height: 12, color: ground };
      const pixels = await page.evaluate(([f, o, c]) => draw.boxes(f, o, c), [found, { ...LINES, ...options }, on]);
      // Of each box the line and what is inside of it.
      return Math.min(
        ...all.map((_, i) => Math.max(...[0, 2].map((x) => contrast(at(pixels, 480, 12 * i + x, 6), rgb)))),
      );
    };
    const worst = await least({});
    group.holds(`every box on ${ground}`, worst >= CONTRAST, worst);
  }
  group.rejects("yellow alone on white", contrast([240, 228, 66], [255, 255, 255]) >= CONTRAST ? 1 : 0, 1);
}

/** WCAG's ratio, 1 to 21. */
function contrast(a, b) {
  const [dark, light] = [a, b].map(luminance).sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(rgb) {
  const [r, g, b] = rgb.map((byte) => {
    const x = byte / 255;
    return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

async function masks({ page, report }) {
  const group = report.group("ocelli/draw: masks");
  const on = { width: 4, height: 2, color: "#fff" };
  const bits = [1, 0, 0, 0, 0, 0, 0, 1];
  const drawn = (mask, options = {}, canvas = on) =>
    page.evaluate(([m, o, c]) => draw.mask(m, o, c), [mask, options, canvas]);
  const mask = { width: 4, height: 2, bits };
  const white = [255, 255, 255, 255];
  /** In the mask and beside it. */
  const both = (pixels) => bits.flatMap((bit, i) => [bit, ...pixels.slice(4 * i, 4 * i + 4)]);
  // Multiplied by alpha, colours are rounded twice.
  const close = (pixels, color) =>
    bits.every((bit, i) =>
      pixels.slice(4 * i, 4 * i + 4).every((x, at) => Math.abs(x - (bit ? color : white)[at]) <= 2),
    );
  const half = ORANGE.map((x, i) => (i < 3 ? (x + 255) / 2 : 255));
  group.holds("half of the colour", close(await drawn(mask), half), await drawn(mask));
  group.holds("another's mask is another", !close(await drawn({ ...mask, bits: bits.toReversed().with(0, 0) }), half));
  group.same("as true and false", await drawn({ ...mask, bits: bits.map(Boolean) }), await drawn(mask));
  const opaque = await drawn(mask, { color: "rgb(1 2 3)", opacity: 1 });
  group.same(
    "a colour of one's own, opaque",
    both(opaque),
    bits.flatMap((bit) => [bit, ...(bit ? [1, 2, 3, 255] : white)]),
  );
  group.rejects(
    "columns taken for rows",
    both(await drawn({ width: 2, height: 4, bits }, { opacity: 1 })),
    both(opaque),
  );
  const large = await drawn({ width: 2, height: 1, bits: [0, 1] }, { opacity: 1 }, { ...on, width: 80, height: 40 });
  group.same("scaled: on the left", at(large, 80, 5, 20), white);
  group.same("scaled: on the right", at(large, 80, 75, 20), ORANGE);
}

async function pictures({ page, report }) {
  const group = report.group("ocelli/draw: pictures of every kind");
  const found = [{ index: 0, box: BOX }];
  const plain = await page.evaluate(([f, o]) => draw.boxes(f, o), [found, LINES]);
  const ground = await page.evaluate(() => draw.boxes([], {}));
  for (const form of ["canvas", "OffscreenCanvas", "ImageBitmap", "ImageData", "VideoFrame", "HTMLImageElement"]) {
    const { boxes, mask } = await page.evaluate(([n, f, o]) => draw.picture(n, f, o), [form, found, LINES]);
    // A frame's colours may go through YUV.
    const near = (a, b) =>
      form === "VideoFrame" ? a.filter((x, i) => Math.abs(x - b[i]) > 3).length : different(a, b);
    group.same(form, near(boxes, [60, 40, ...plain]), 0);
    group.same(`${form}, with a mask`, near(mask, [60, 40, ...ground]), 0);
    group.rejects(`${form} without its box`, near(mask, [60, 40, ...plain]), 0);
  }
}

async function refused({ page, report }) {
  const group = report.group("ocelli/draw: what it refuses");
  const codes = await page.evaluate(() => draw.refused());
  const expected = {
    "a Blob": "bad-input",
    "detections in its place": "bad-input",
    "a word": "bad-input",
    "an image that has not loaded": "bad-image",
    "a closed bitmap": "bad-image",
    "a box without a size": "bad-input",
    "no box": "bad-input",
    "a mask cut short": "bad-input",
    "a canvas of another kind": "bad-input",
    "what is right": "none",
  };
  for (const [name, code] of Object.entries(expected)) group.same(name, codes[name], code);
  group.rejects("that nothing is refused", codes["a Blob"], "none");
}
