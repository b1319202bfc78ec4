"""What `mahavishnu doctor` checks: findings with what fixes them. Looks, and writes only where asked."""
