"""
How running sessions follow a switch: the profile that each is really on, what it needs to be on the present one,
and how it is ended and resumed where it was.
"""
