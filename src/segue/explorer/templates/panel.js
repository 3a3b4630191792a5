// The sliders. The value is the request, {variable: number}: the variables that differ from their factual value.
const cells = () => [...element.querySelectorAll('.sg-cell')];

function show(cell, value) {
  const range = cell.querySelector('.sg-range'), number = cell.querySelector('.sg-number');
  range.value = value;
  number.value = value;
  const asked = Number(value) !== Number(cell.dataset.start);
  const beyond = asked && (value < Number(cell.dataset.least) || value > Number(cell.dataset.most));
  cell.classList.toggle('sg-asked', asked);
  cell.classList.toggle('sg-out', beyond);
  cell.querySelector('.sg-beyond').textContent = beyond ? 'outside the training data: extrapolates' : '';
}

function ask() {
  const asked = {};
  for (const cell of cells()) {
    const value = Number(cell.querySelector('.sg-number').value);
    if (value !== Number(cell.dataset.start)) asked[cell.dataset.name] = value;
  }
  props.value = asked;
  trigger('input');
}

element.addEventListener('input', (event) => {
  if (!event.target.classList.contains('sg-range')) return;
  show(event.target.closest('.sg-cell'), event.target.value);
  ask();
});

element.addEventListener('change', (event) => {
  if (event.target.classList.contains('sg-number')) {
    const cell = event.target.closest('.sg-cell'), value = event.target.value;
    const usable = value !== '' && Number.isFinite(Number(value));
    show(cell, usable ? value : cell.dataset.start);
    ask();
  }
  if (event.target.classList.contains('sg-preset') && event.target.value) {
    const values = JSON.parse(event.target.value);
    for (const cell of cells()) if (cell.dataset.name in values) show(cell, values[cell.dataset.name]);
    event.target.value = '';
    ask();
  }
});

element.addEventListener('click', (event) => {
  const one = event.target.closest('.sg-reset');
  if (one) show(one.closest('.sg-cell'), one.closest('.sg-cell').dataset.start);
  const all = event.target.closest('.sg-reset-all');
  if (all) for (const cell of cells()) show(cell, cell.dataset.start);
  if (one || all) ask();
});

// Another image: its own ranges, measurements and request.
watch(['grid', 'value'], () => {
  for (const cell of cells()) show(cell, props.value?.[cell.dataset.name] ?? cell.dataset.start);
});
