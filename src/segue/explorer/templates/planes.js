// The slices of a volume. The value is {place: [voxel]}, or {}: where the answer changed most. A click in a picture moves
// the two other planes to the voxel under it.
const ranges = () => [...element.querySelectorAll('[data-axis]')];

function show(place) {
  ranges().forEach((range, axis) => {
    range.value = place[axis];
    range.closest('label').querySelector('output').textContent = Number(range.value) + 1;
  });
}

function ask(value) {
  document.documentElement.dataset.sgBusy = 'on';  // at once; done.js takes it back
  props.value = value;
  trigger('input');
}

element.addEventListener('input', (event) => {
  if (!event.target.matches('[data-axis]')) return;
  const place = ranges().map((range) => Number(range.value));
  show(place);
  ask({ place });
});
element.addEventListener('click', (event) => { if (event.target.closest('.sg-most')) ask({}); });
document.addEventListener('sg-voxel', (event) => { show(event.detail); ask({ place: event.detail }); });
document.addEventListener('sg-planes', (event) => { show(event.detail); });
