"""Hours of mixed load with random faults: nothing acknowledged is lost, and memory stays flat."""
