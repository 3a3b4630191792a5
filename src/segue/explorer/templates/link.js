() => {
  const query = new URLSearchParams(location.search), link = {};
  if (query.has('image')) link.image = query.get('image');
  if (query.has('do')) try { link.do = JSON.parse(query.get('do')); } catch { return 'damaged'; }
  if (query.has('methods')) link.methods = query.get('methods').split(',');
  if (query.has('follow')) link.follow = query.get('follow') !== 'no';
  return JSON.stringify(link);
}
