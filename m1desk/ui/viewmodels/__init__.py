"""What a page shows, as signals and values; view models speak to the core through the bridge."""
