// The sliders. The value is the request, {key, do: {variable: number}}: the variables that differ from their factual
// value, and the choice of image that they were asked of.
const cells = () => [...element.querySelectorAll('.sg-cell')];
const part = (name) => element.querySelector(name);
let past = [], settled = {};

function show(cell, value) {
  const range = cell.querySelector('.sg-range'), number = cell.querySelector('.sg-number'), limits = cell.dataset;
  const usable = value !== '' && Number(value) >= Number(limits.from) && Number(value) <= Number(limits.to);
  if (usable) range.value = value;
  number.value = value;
  number.setAttribute('aria-invalid', String(!usable));
  const asked = usable && Number(value) !== Number(limits.start);
  const beyond = asked && (value < Number(limits.least) || value > Number(limits.most));
  cell.classList.toggle('sg-asked', asked);
  cell.classList.toggle('sg-out', beyond || !usable);
  const said = !usable ? limits.possible : beyond ? 'outside the training data: extrapolates' : '';
  cell.querySelector('.sg-beyond').textContent = said;
  return usable;
}

function request() {
  const asked = {};
  for (const cell of cells()) {
    const number = cell.querySelector('.sg-number');
    if (number.getAttribute('aria-invalid') !== 'true' && Number(number.value) !== Number(cell.dataset.start))
      asked[cell.dataset.name] = Number(number.value);
  }
  return asked;
}

function ask() {
  document.documentElement.dataset.sgBusy = 'on';  // at once; done.js takes it back
  props.value = { key: part('.sg-panel').dataset.key, do: request() };
  trigger('input');
}

// A drag is one step of the history: it is settled when the slider is released.
function settle() {
  const now = request();
  if (JSON.stringify(now) !== JSON.stringify(settled)) past.push(settled);
  settled = now;
  part('.sg-undo').disabled = past.length === 0;
}

function set(values) {
  for (const cell of cells()) show(cell, values[cell.dataset.name] ?? cell.dataset.start);
}

function undo() {
  if (!past.length) return;
  settled = past.pop();
  set(settled);
  part('.sg-undo').disabled = past.length === 0;
  ask();
}

element.addEventListener('input', (event) => {
  if (!event.target.classList.contains('sg-range')) return;
  show(event.target.closest('.sg-cell'), event.target.value);
  ask();
});

element.addEventListener('change', (event) => {
  const target = event.target, cell = target.closest('.sg-cell');
  if (target.classList.contains('sg-number')) {
    // What is no number reads as '': an emptied box goes back to the measured value.
    if (!show(cell, target.value === '' && !target.validity.badInput ? cell.dataset.start : target.value)) return;
    ask();
  } else if (target.classList.contains('sg-preset') && target.value) {
    const values = JSON.parse(target.value);
    for (const one of cells()) if (one.dataset.name in values) show(one, values[one.dataset.name]);
    target.value = '';
    ask();
  }
  settle();
});

element.addEventListener('click', (event) => {
  const one = event.target.closest('.sg-reset'), all = event.target.closest('.sg-reset-all');
  if (event.target.closest('.sg-undo')) undo();
  if (one) show(one.closest('.sg-cell'), one.closest('.sg-cell').dataset.start);
  if (all) set({});
  if (one || all) { ask(); settle(); }
});

document.addEventListener('keydown', (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === 'z' && !event.target.matches('input:not([type=range]), textarea')) undo();
});

// Another image: its own ranges, measurements and request, and no history.
watch('grid', () => {
  const form = part('.sg-panel');
  if (!form || form.dataset.seen) return;
  form.dataset.seen = 'yes';
  past = [];
  set(JSON.parse(form.dataset.do));
  settled = request();
});
