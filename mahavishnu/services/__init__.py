"""What runs around memory, and what Mahavishnu does by itself."""
