"""The explorer: ask for a counterfactual with sliders, in the browser.

`models` opens what is explored; `asking` answers (pure functions of an image and a request); `pictures`, `view`,
`panel`, `strip` and `gallery` turn answers into HTML; `upload` and `keep` read and write files; `page` lays all of it
out, `api` is the same over HTTP, and `serve` serves both.
"""
