"""The documentation site: `python -m docs.site` writes it (`make docs`).

Pages are those of docs/, with those that are written from the code and from results/: tables, API, commands, tutorials.
"""
