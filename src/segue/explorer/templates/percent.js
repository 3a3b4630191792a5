(request, written) => {
  // The request of this image as changes, which mean the same for images of different anatomy.
  const changes = Object.entries(request.do).map(([name, value]) => {
    const start = Number(document.querySelector(`.sg-cell[data-name="${name}"]`).dataset.start);
    const change = Math.round(100 * (value / start - 1));
    return start > 0 ? `${name}=${change < 0 ? '' : '+'}${change}%` : `${name}=${value}`;
  });
  return changes.join(', ') || written;
}
