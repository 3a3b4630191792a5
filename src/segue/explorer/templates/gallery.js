// A thumbnail is chosen, or another page is requested: {"index": ...} or {"page": ...}. The chosen one is marked.
let chosen = null;
function mark() {
  if (props.value && 'index' in props.value) chosen = props.value.index;
  for (const button of element.querySelectorAll('[data-index]'))
    button.setAttribute('aria-pressed', String(Number(button.dataset.index) === chosen));
}
element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button) return;
  props.value = 'index' in button.dataset ? { index: Number(button.dataset.index) } : { page: Number(button.dataset.page) };
  if ('index' in button.dataset) document.documentElement.dataset.sgBusy = 'on';
  trigger('index' in button.dataset ? 'click' : 'select');
  mark();
});
watch(['grid', 'value'], mark);
