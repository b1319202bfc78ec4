"""Hours of mixed load with random faults: nothing acknowledged is lost, memory stays flat, the daemon stays available."""
