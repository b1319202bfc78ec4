"""What `mahavishnu doctor` checks: findings with what mends them. Looks, and writes only where asked."""
