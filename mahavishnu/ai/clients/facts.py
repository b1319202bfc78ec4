"""
What is known of a client before anything else of it is imported.

Every prompt waits for `mahavishnu-guard`, and every start of a client for `mahavishnu-key`: the standard
library has to do here, and the modules that a client names are imported only where they are needed.
"""

from typing import NamedTuple

# Names of variables, in both ways of writing.
HTTP_PROXY, HTTPS_PROXY = ("HTTP_PROXY", "http_proxy"), ("HTTPS_PROXY", "https_proxy")
ALL_PROXY = ("ALL_PROXY", "all_proxy")


class Facts(NamedTuple):
    """
    One client.

    `program` starts it. These are names of modules: `client` has `CLIENT`, all that the table has;
    `hooks` has `HOOKS`, by which the guard is put into its settings; `in_force` has `find_faults`, which
    judges a session; `key_settings` has `require_settings`, which says what else must hold before a key
    is given out, and is empty for a client that never asks a command for one.
    """

    program: str
    client: str
    hooks: str
    in_force: str
    key_settings: str = ""
    # The variable that names its endpoint, the endpoint without it, and those that lead to a cloud instead.
    # No variable: the client hands nothing on that tells.
    url_variable: str = ""
    default_url: str = ""
    clouds: tuple[str, ...] = ()
    # The variables whose proxy it uses for http; in NO_PROXY, whether an IPv6 address has to be in brackets,
    # and whether * stands for addresses too.
    proxies: tuple[str, ...] = ()
    brackets: bool = False
    star: bool = True
    # Of a hook's environment, the folder that the session was started in, and the pid of the client.
    folder_variable: str = ""
    pid_variable: str = ""
    # The events that an exit code stops; at all others an answer has to say it.
    exit_stops: tuple[str, ...] = ("UserPromptSubmit",)
    # A word by which a process is known to serve sessions of all folders.
    server_word: str = ""


class Expected(NamedTuple):
    """
    What a client has to use by the profile, as it was when the directory was bound.

    `url` is the endpoint, `key` the reference, `variable` where Qwen Code looks for the key, `native`
    the client's own sign-in.
    """

    protocol: str
    url: str
    key: str = ""
    variable: str = ""
    native: bool = False
