"""Where it runs: cores and ports, what a process tree or a container uses, and the files and folders of a run."""
