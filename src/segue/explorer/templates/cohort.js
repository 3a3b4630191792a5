// A heading sorts the table by its column, once more the other way round; an image is opened: {"image": id}.
const key = (row, column) => {
  const cell = row.children[column], value = cell.dataset.value ?? cell.innerText;
  return value === '–' || value.trim() === '' || Number.isNaN(Number(value)) ? value : Number(value);
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (button?.dataset.image) {
    document.documentElement.dataset.sgBusy = 'on';
    props.value = { image: button.dataset.image };
    trigger('click');
  } else if (button) {
    const heading = button.parentElement, body = element.querySelector('tbody'), column = Number(button.dataset.column);
    const down = heading.getAttribute('aria-sort') === 'ascending';
    for (const other of element.querySelectorAll('th[aria-sort]')) other.removeAttribute('aria-sort');
    heading.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const rows = [...body.children].map((row) => [key(row, column), row]);
    rows.sort(([a], [b]) => (typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === 'number' ? -1 : 1));
    body.append(...(down ? rows.reverse() : rows).map(([, row]) => row));
  }
});
