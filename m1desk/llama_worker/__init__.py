"""The program inside the llama.cpp child process: HTTP face, scheduler, sampler, snapshots."""
