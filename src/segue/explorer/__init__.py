"""The explorer: requests by sliders, counterfactuals in the browser.

`models` opens the model. `asking` answers a request (pure functions of an image and a request). `pictures`, `view`,
`panel`, `strip` and `gallery` turn answers into HTML, with the templates of `markup`. `upload` reads files, `download`
writes them. `page` is the layout with its events, `api` offers the same over HTTP, and `serve` serves both.
"""
