"""The page that draws a digit and asks the model in it and the servers beside it: its files, and its small server."""
