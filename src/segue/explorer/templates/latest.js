(request, variable) => Object.keys(request.do).filter((name) => NAMES.includes(name)).at(-1) ?? variable
