"""
Sessions of AI clients that run: which there are, the profile each is really on, what a switch does to it,
and how one is ended and resumed. Found by what the clients themselves register, never by a process's name.
"""
