"""What a person types: one module per command of ``python -m models``. Only this package prints and exits."""
