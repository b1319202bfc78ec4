"""What a unit is: a program that is kept running, how it is asked whether it works, and what it needs."""
