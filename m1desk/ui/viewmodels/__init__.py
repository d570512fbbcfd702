"""View models: what a page shows, as signals and values; they speak to the core through the bridge."""
