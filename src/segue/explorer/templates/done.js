(request, methods, follow) => {
  // The page no longer computes, unless something else was begun since, or is begun now. Its address names image and
  // request (an upload has no address).
  window.sgBegun -= 1;
  setTimeout(() => { if (!window.sgBegun) delete document.documentElement.dataset.sgBusy; });
  const form = document.querySelector('.sg-panel'), query = new URLSearchParams();
  if (form?.dataset.image && request?.key === form.dataset.key) {
    query.set('image', form.dataset.image);
    if (Object.keys(request.do).length) query.set('do', JSON.stringify(request.do));
    query.set('methods', methods.join(','));
    if (!follow) query.set('follow', 'no');
  }
  history.replaceState(history.state, '', `${location.pathname}${query.size ? '?' : ''}${query}`);
}
