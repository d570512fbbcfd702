"""vLLM as a child of ours: from a plan to a command line, through its start, to its end."""
