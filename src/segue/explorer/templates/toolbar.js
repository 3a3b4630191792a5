// The display settings exist in the browser only: attributes of the document that the style sheet reads.
const root = document.documentElement;
function apply(control) {
  const what = control.dataset.show;
  if (what === 'mix') root.style.setProperty('--sg-mix', control.value / 100);
  else root.dataset['sg' + what[0].toUpperCase() + what.slice(1)] =
    control.type === 'checkbox' ? (control.checked ? 'on' : 'off') : control.value;
}
element.addEventListener('input', (event) => { if (event.target.dataset.show) apply(event.target); });
element.querySelectorAll('[data-show]').forEach(apply);
