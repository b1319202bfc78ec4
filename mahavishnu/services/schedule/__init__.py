"""Jobs that run at the times of a cron expression."""
