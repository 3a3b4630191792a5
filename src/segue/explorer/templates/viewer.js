// Pictures under the pointer: one cursor in all of them with the pixels' values, zoom, level and window, a wipe by dragging.
const root = document.documentElement;
const seen = { zoom: 1, level: 50, width: 100, x: 0, y: 0 };  // x, y: the corner that is shown, as shares of the image
const decoded = new WeakMap();
let pointed = null;  // the place of the cursor
const canvases = () => [...element.querySelectorAll('.sg-canvas')];
const view = () => element.querySelector('.sg-view');
const bound = (value, low, high) => Math.min(Math.max(value, low), high);

async function values(canvas) {
  const content = canvas.dataset.values;
  if (!content) return null;
  if (decoded.get(canvas)?.content !== content) {  // an answer changes the picture that stands in a canvas
    const packed = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
    const low = Number(canvas.dataset.low), step = Number(canvas.dataset.step);
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
    const numbers = new Uint16Array(await new Response(stream).arrayBuffer());
    decoded.set(canvas, { content, numbers: Float32Array.from(numbers, (n) => low + step * n) });
  }
  return decoded.get(canvas).numbers;
}

// Level and window.
function limits() {
  const black = Number(view().dataset.black), span = Number(view().dataset.white) - black;
  return [black + span * (seen.level - seen.width / 2) / 100, span * seen.width / 100];
}

function greys(content, width, height) {
  const [low, span] = limits(), paper = Object.assign(document.createElement('canvas'), { width, height });
  const context = paper.getContext('2d'), pixels = context.createImageData(width, height);
  content.forEach((value, i) => {
    const grey = bound(Math.round((value - low) * 255 / span), 0, 255);
    pixels.data.set([grey, grey, grey, 255], 4 * i);
  });
  context.putImageData(pixels, 0, 0);
  return paper.toDataURL();
}

async function shade() {
  const here = view(), original = seen.level === 50 && seen.width === 100;
  const [low, span] = limits(), say = (value) => value.toLocaleString('en', { maximumSignificantDigits: 4 });
  for (const output of document.querySelectorAll('.sg-window')) output.textContent = `${say(low)} to ${say(low + span)}`;
  const width = Number(here.dataset.width), height = Number(here.dataset.height);
  let factual = null;
  for (const canvas of canvases()) {
    const content = await values(canvas);
    if (!content) continue;
    const [image, over] = canvas.querySelectorAll('img');
    image.dataset.original ??= image.src;
    const source = original ? image.dataset.original : greys(content, width, height);
    factual ??= source;
    if (image.src !== source) image.src = source;
    if (over && over.src !== factual) over.src = factual;
  }
}

// Zoom: one part of the image is shown in all pictures.
function place() {
  const most = 1 - 1 / seen.zoom;
  seen.x = bound(seen.x, 0, most); seen.y = bound(seen.y, 0, most);
  root.style.setProperty('--sg-zoom', seen.zoom);
  root.style.setProperty('--sg-x', `${-100 * seen.x * seen.zoom}%`);
  root.style.setProperty('--sg-y', `${-100 * seen.y * seen.zoom}%`);
  root.dataset.sgZoomed = seen.zoom > 1 ? 'on' : 'off';
}

function zoom(factor, [x, y]) {
  const next = bound(seen.zoom * factor, 1, 8);
  seen.x = x - (x - seen.x) * seen.zoom / next; seen.y = y - (y - seen.y) * seen.zoom / next;
  document.dispatchEvent(new CustomEvent('sg-set', { detail: { zoom: next } }));
}

// The place of the pointer in the image, as shares of its width and height.
function where(event, canvas) {
  const box = canvas.getBoundingClientRect();
  return [seen.x + (event.clientX - box.left) / box.width / seen.zoom, seen.y + (event.clientY - box.top) / box.height / seen.zoom];
}

function pixel([x, y]) {
  const width = Number(view().dataset.width), height = Number(view().dataset.height);
  return [bound(Math.floor(y * height), 0, height - 1), bound(Math.floor(x * width), 0, width - 1)];
}

// Of a volume, the voxel that a pixel of the three planes shows; null between the planes, and of an image.
function voxel(row, column) {
  const planes = JSON.parse(view().dataset.planes ?? '{"tiles": []}');
  for (const { axis, top, left, height, width } of planes.tiles) {
    const down = row - top, right = column - left;
    if (down < 0 || right < 0 || down >= height || right >= width) continue;
    const found = [...planes.place], [first, second] = [0, 1, 2].filter((other) => other !== axis);
    found[first] = Math.floor(right / planes.repeats[first]);
    found[second] = Math.floor((height - 1 - down) / planes.repeats[second]);
    return found;
  }
  return null;
}

async function point(at) {
  pointed = at;
  const width = Number(view().dataset.width), height = Number(view().dataset.height), [row, column] = pixel(at);
  root.style.setProperty('--sg-cx', `${100 * (column + 0.5) / width}%`);
  root.style.setProperty('--sg-cy', `${100 * (row + 0.5) / height}%`);
  root.dataset.sgCursor = 'on';
  const all = canvases(), found = [];
  for (const canvas of all) found.push((await values(canvas))?.[row * width + column]);
  const say = (value) => value.toLocaleString('en', { maximumSignificantDigits: 4 }).replace('-', '−');
  const methods = (all.length - 1) / 2, there = voxel(row, column);
  const named = there ? `voxel ${there.map((index) => index + 1).join(', ')}` : `row ${row}, column ${column}`;
  all.forEach((canvas, i) => {
    const value = found[i] ?? found[i - methods] - found[0];
    canvas.parentElement.querySelector('.sg-pixel').textContent =
      view().dataset.planes && !there ? '' : `${named}: ${say(value)}`;
  });
}

let drag = null, pressed = null;
function pull(event) {
  const here = where(event, drag.canvas);
  if (event.shiftKey) {
    const detail = { width: bound(drag.width + (event.clientX - drag.left) / 2, 2, 200), level: bound(drag.level + (event.clientY - drag.top) / 2, -50, 150) };
    document.dispatchEvent(new CustomEvent('sg-set', { detail }));
  } else if (root.dataset.sgCompare === 'wipe') {
    document.dispatchEvent(new CustomEvent('sg-set', { detail: { mix: bound(100 * here[0], 0, 100) } }));
  } else if (seen.zoom > 1) {
    seen.x += drag.from[0] - here[0]; seen.y += drag.from[1] - here[1];
    place();
  }
}
element.addEventListener('pointerdown', (event) => {
  const canvas = event.target.closest('.sg-canvas');
  if (!canvas) return;
  drag = { canvas, from: where(event, canvas), left: event.clientX, top: event.clientY, width: seen.width, level: seen.level };
  pressed = [event.clientX, event.clientY];
  canvas.setPointerCapture(event.pointerId);
  pull(event);
  point(where(event, canvas));
});
element.addEventListener('pointermove', (event) => {
  const canvas = drag?.canvas ?? event.target.closest('.sg-canvas');
  if (!canvas) return;
  if (drag) pull(event);
  point(where(event, canvas));
});
for (const end of ['pointerup', 'pointercancel']) element.addEventListener(end, () => { drag = null; });
element.addEventListener('click', (event) => {  // the planes of a volume follow a click
  const canvas = event.target.closest('.sg-canvas'), there = canvas && voxel(...pixel(where(event, canvas)));
  const dragged = pressed && Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > 3;
  if (there && !dragged) document.dispatchEvent(new CustomEvent('sg-voxel', { detail: there }));
});
element.addEventListener('pointerleave', () => { root.dataset.sgCursor = 'off'; });
element.addEventListener('dblclick', (event) => {
  const canvas = event.target.closest('.sg-canvas');
  if (canvas) zoom(seen.zoom > 1 ? 1 / seen.zoom : 3, where(event, canvas));
});
element.addEventListener('wheel', (event) => {
  const canvas = event.target.closest('.sg-canvas');
  if (!canvas || !event.ctrlKey) return;
  event.preventDefault();
  zoom(event.deltaY < 0 ? 1.25 : 0.8, where(event, canvas));
}, { passive: false });
document.addEventListener('sg-view', (event) => {
  Object.assign(seen, event.detail);
  place();
  if (view() && !('zoom' in event.detail)) shade();
});
watch('value', () => {
  if (!view()) return;
  const planes = view().dataset.planes;
  if (planes) document.dispatchEvent(new CustomEvent('sg-planes', { detail: JSON.parse(planes).place }));
  shade();
  if (root.dataset.sgCursor === 'on') point(pointed);
});
