"""The same record as static pictures, made with Matplotlib, and with Seaborn where that is better."""
