// The display settings exist in the browser only: attributes of the document that the style sheet reads; zoom, level and
// window are told to the viewer.
const root = document.documentElement, starts = new Map();
function apply(control) {
  const what = control.dataset.show;
  if (what === 'mix') root.style.setProperty('--sg-mix', control.value / 100);
  else if (what) root.dataset['sg' + what[0].toUpperCase() + what.slice(1)] =
    control.type === 'checkbox' ? (control.checked ? 'on' : 'off') : control.value;
  else document.dispatchEvent(new CustomEvent('sg-view', { detail: { [control.dataset.view]: Number(control.value) } }));
}
const controls = [...element.querySelectorAll('[data-show], [data-view]')];
for (const control of controls) starts.set(control, control.value);
element.addEventListener('input', (event) => { if (controls.includes(event.target)) apply(event.target); });
element.querySelector('.sg-original').addEventListener('click', () => {
  for (const control of controls) if (control.type === 'range') { control.value = starts.get(control); apply(control); }
});
controls.forEach(apply);
if (matchMedia('(max-width: 720px), (max-height: 500px)').matches) element.querySelector('details').open = false;
// What is done on the pictures shows in the controls.
document.addEventListener('sg-set', (event) => {
  for (const control of controls) {
    const name = control.dataset.view ?? control.dataset.show;
    if (name in event.detail) { control.value = event.detail[name]; apply(control); }
  }
});
