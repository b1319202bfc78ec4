"""It is started on a profile by options, and with the key in a variable."""

from mahavishnu.ai.clients.launch import CheckProject, LaunchOptions, Start

check_project: CheckProject | None = None


def find_options(start: Start) -> LaunchOptions:
    return LaunchOptions(
        ("--asks", start.delivery.url, start.delivery.model), {"FOURTH_KEY": start.key.reveal()}
    )
