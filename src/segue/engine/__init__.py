"""The engine: where facts meet a request. Everything that answers goes through `segue.engine.answer`."""
