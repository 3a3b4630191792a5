// A heading sorts the table by its column, once more the other way round; an image is opened: {"image": id}.
// Numbers are sorted as numbers, texts with the numbers in them ("example 10" after "example 2"); "–" always comes last.
const texts = new Intl.Collator('en', { numeric: true });
const key = (row, column) => {
  const { value } = row.children[column].dataset;
  return value === undefined ? row.children[column].innerText : Number.isNaN(Number(value)) ? value : Number(value);
};
const compare = ([a], [b]) => (typeof a === 'number' && typeof b === 'number' ? a - b : texts.compare(a, b));
element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (button?.dataset.image) {
    document.documentElement.dataset.sgBusy = 'on';
    props.value = { image: button.dataset.image };
    trigger('click');
    document.querySelector('#sg-see').scrollIntoView();
  } else if (button) {
    const heading = button.parentElement, body = element.querySelector('tbody'), column = Number(button.dataset.column);
    const down = heading.getAttribute('aria-sort') === 'ascending';
    for (const other of element.querySelectorAll('th[aria-sort]')) other.removeAttribute('aria-sort');
    heading.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const rows = [...body.children].map((row) => [key(row, column), row]);
    const known = rows.filter(([value]) => value !== '–').sort(compare), missing = rows.filter(([value]) => value === '–');
    body.append(...[...(down ? known.reverse() : known), ...missing].map(([, row]) => row));
  }
});
