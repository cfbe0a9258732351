"""The forms in which a framework runs a model, from Python code to machine code, and what each is worth."""
