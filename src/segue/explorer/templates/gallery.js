// A thumbnail is chosen, or another page is requested: {"index": ...} or {"page": ...}.
element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button) return;
  props.value = 'index' in button.dataset ? { index: Number(button.dataset.index) } : { page: Number(button.dataset.page) };
  trigger('index' in button.dataset ? 'click' : 'select');
});
