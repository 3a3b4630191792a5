"""Methods that are no image mechanism of segue: see `segue.engine.method.Method`."""
