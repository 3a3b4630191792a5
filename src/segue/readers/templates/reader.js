const kit = JSON.parse(document.getElementById("kit").textContent);
const place = `segue readers ${kit.kit} ${kit.reader}`;
const find = (id) => document.getElementById(id);
const SCREENS = ["sheet", "reading", "between", "end"];
const KEYS = { first: ["choice", "confidence"], second: ["happened", "only_there", "plausible"] };
const COLUMNS = ["kit", "reader", "case", ...KEYS.first, ...KEYS.second, "seconds"];
const MIDDLE = 128, FULL = 50; // of brightness and contrast

// ---- what is known so far: kept in the browser, so that a reload loses nothing ----------------------------------

function fresh() {
  return { screen: "sheet", part: "first", at: 0, answers: {} };
}

function load() {
  try {
    const found = JSON.parse(localStorage.getItem(place));
    const whole = found && SCREENS.includes(found.screen) && kit[found.part] && found.at in (kit[found.part] || []);
    return whole && typeof found.answers === "object" ? found : fresh();
  } catch {
    return fresh();
  }
}

function save() {
  try {
    localStorage.setItem(place, JSON.stringify(state));
  } catch {
    find("unsaved").hidden = false;
  }
}

const state = load();
const now = () => kit[state.part][state.at];
const answers = () => (state.answers[now().id] ??= { seconds: 0 });
const open = (part, given) => KEYS[part].filter((key) => !(key in given));
const complete = (part) => kit[part].every((one) => open(part, state.answers[one.id] || {}).length === 0);

// ---- time: only while the page is looked at ---------------------------------------------------------------------

let since = null;

function count() {
  if (since !== null && state.screen === "reading") answers().seconds += (performance.now() - since) / 1000;
  since = document.hidden ? null : performance.now();
}

document.addEventListener("visibilitychange", () => { count(); save(); });
window.addEventListener("pagehide", () => { count(); save(); });

// ---- pictures ---------------------------------------------------------------------------------------------------

const display = { level: MIDDLE, contrast: FULL, flipped: false };
let pixels = {};

function decode(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

function table() {
  const width = 255 * 2 ** ((FULL - display.contrast) / 12.5);
  const from = 255 - display.level - width / 2; // a higher level is a brighter image
  return Uint8ClampedArray.from({ length: 256 }, (_, grey) => (255 * (grey - from)) / width);
}

function draw() {
  const neutral = display.level === MIDDLE && display.contrast === FULL;
  const shades = neutral ? Uint8ClampedArray.from({ length: 256 }, (_, grey) => grey) : table();
  const shown = { ...pixels, after: display.flipped ? pixels.before : pixels.after };
  for (const [id, grey] of Object.entries(shown)) {
    if (!grey) continue;
    const canvas = find(id);
    [canvas.width, canvas.height] = [kit.width, kit.height];
    const image = new ImageData(kit.width, kit.height);
    grey.forEach((value, i) => image.data.set([shades[value], shades[value], shades[value], 255], 4 * i));
    canvas.getContext("2d").putImageData(image, 0, 0);
  }
  [find("level").value, find("contrast").value] = [display.level, display.contrast];
  find("flip").setAttribute("aria-pressed", display.flipped);
  find("after-title").textContent = display.flipped ? "Before (flipped)" : "After";
}

function window_(change) {
  const within = (value, most) => Math.min(most, Math.max(0, value));
  display.level = within(display.level + (change.level || 0), 255);
  display.contrast = within(display.contrast + (change.contrast || 0), 100);
  draw();
}

function reset() {
  Object.assign(display, { level: MIDDLE, contrast: FULL });
  draw();
}

function flip() {
  if (state.part !== "second") return;
  display.flipped = !display.flipped;
  draw();
}

for (const canvas of document.querySelectorAll("canvas")) {
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons !== 1 || event.pointerType === "touch") return;
    window_({ level: -event.movementY / 2, contrast: event.movementX / 5 });
  });
}
for (const name of ["level", "contrast"]) {
  find(name).addEventListener("input", (event) => { display[name] = Number(event.target.value); draw(); });
}
find("reset").addEventListener("click", reset);
find("flip").addEventListener("click", flip);

// ---- questions --------------------------------------------------------------------------------------------------

function answer(key, value) {
  answers()[key] = value;
  save();
  mark();
}

function mark() {
  const given = answers();
  const next = open(state.part, given)[0];
  for (const field of document.querySelectorAll("fieldset")) {
    field.classList.toggle("open", field.dataset.key === next && field.dataset.part === state.part);
    for (const input of field.querySelectorAll("input")) input.checked = given[field.dataset.key] === input.value;
  }
  find("next").disabled = next !== undefined;
}

for (const input of document.querySelectorAll("fieldset input")) {
  input.addEventListener("change", () => answer(input.name, input.value));
}

// ---- from one screen to the next --------------------------------------------------------------------------------

function show() {
  for (const id of SCREENS) find(id).hidden = id !== state.screen;
  const title = document.querySelector(`#${state.screen} h1`);
  if (state.screen === "reading") {
    const all = kit[state.part].length, one = now();
    title.textContent = `${state.part === "first" ? "Image" : "Pair"} ${state.at + 1} of ${all}`;
    [find("progress").max, find("progress").value] = [all, state.at];
    for (const part of document.querySelectorAll("[data-part]")) part.hidden = part.dataset.part !== state.part;
    find("request").textContent = one.request || "";
    pixels = Object.fromEntries(["image", "before", "after"].map((id) => [id, one[id] && decode(one[id])]));
    find("back").disabled = state.at === 0;
    Object.assign(display, { level: MIDDLE, contrast: FULL, flipped: false });
    draw();
    mark();
  }
  window.scrollTo(0, 0);
  title.focus({ preventScroll: true });
}

function go(change) {
  count();
  Object.assign(state, change);
  save();
  show();
}

function next() {
  if (find("next").disabled) return;
  if (state.at + 1 < kit[state.part].length) go({ at: state.at + 1 });
  else if (state.part === "first" && kit.second.length) go({ screen: "between" });
  else go({ screen: "end" });
}

function back() {
  if (state.at > 0) go({ at: state.at - 1 });
}

find("consent").addEventListener("change", (event) => { find("start").disabled = !event.target.checked; });
find("start").addEventListener("click", () => go({ screen: "reading" }));
find("next").addEventListener("click", next);
find("back").addEventListener("click", back);
find("return").addEventListener("click", () => go({ screen: "reading" }));
find("go-on").addEventListener("click", () => go({ screen: "reading", part: "second", at: 0 }));
find("last").addEventListener("click", () => go({ screen: "reading" }));

const PRESSED = {
  r: () => state.part === "first" && answer("choice", "real"),
  e: () => state.part === "first" && answer("choice", "edited"),
  b: back,
  f: flip,
  "0": reset,
  "[": () => window_({ level: -8 }),
  "]": () => window_({ level: 8 }),
  "-": () => window_({ contrast: -4 }),
  "+": () => window_({ contrast: 4 }),
  "=": () => window_({ contrast: 4 }),
};

document.addEventListener("keydown", (event) => {
  if (state.screen !== "reading" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter") {
    if (event.target.tagName !== "BUTTON") { event.preventDefault(); next(); }
  } else if ("12345".includes(event.key)) {
    const focused = event.target.closest?.("fieldset")?.dataset.key;
    const key = open(state.part, answers()).find((one) => one !== "choice") || focused
      || (state.part === "first" ? "confidence" : undefined);
    if (key && key !== "choice") answer(key, event.key);
  } else {
    PRESSED[event.key.toLowerCase()]?.();
  }
});

// ---- the file ---------------------------------------------------------------------------------------------------

function rows() {
  const cells = (one) => ({ kit: kit.kit, reader: kit.reader, case: one.id, ...state.answers[one.id] });
  return [...kit.first, ...kit.second].map(cells).map((row) => ({ ...row, seconds: row.seconds.toFixed(1) }));
}

find("download").addEventListener("click", () => {
  const lines = [COLUMNS, ...rows().map((row) => COLUMNS.map((name) => row[name] ?? ""))];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines.map((cells) => cells.join(",")).join("\n") + "\n"], { type: "text/csv" }));
  link.download = `${kit.reader}-answers.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
});

find("forget").addEventListener("click", () => {
  if (!confirm("Remove all your answers from this browser? You need them if the file did not arrive.")) return;
  Object.assign(state, fresh());
  localStorage.removeItem(place);
  find("consent").checked = false;
  find("start").disabled = true;
  show();
});

if (state.screen === "end" && !(complete("first") && complete("second"))) Object.assign(state, fresh(), { answers: state.answers });
find("count-first").textContent = kit.first.length;
find("count-second").textContent = kit.second.length;
find("about-second").hidden = kit.second.length === 0;
find("who").textContent = `Kit ${kit.kit}, ${kit.reader}`;
save();
count();
show();
