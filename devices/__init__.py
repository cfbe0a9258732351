"""Takes a built model to phones and browsers: its exports to LiteRT, ExecuTorch and ONNX, and what each is worth."""
