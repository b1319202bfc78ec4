"""What a host's name says by itself; no name is looked up. Standard library only."""


def is_this_machine(host: str) -> bool:
    """Tell whether a host name or address is the loopback interface's."""
    import ipaddress  # noqa: PLC0415 - what asks for names alone starts fast

    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
