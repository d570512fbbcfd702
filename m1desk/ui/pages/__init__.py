"""Pages: what the sidebar switches between."""
