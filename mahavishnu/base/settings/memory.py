"""The settings of memories: how long they are kept, and what follows them."""

from typing import Annotated

from msgspec import Meta, field

from mahavishnu.base.settings.section import SettingsSection

Age = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,4}[hdw]$")]
FilePath = Annotated[str, Meta(pattern="^(/|~/).*[^/]$")]  # absolute, or from the home


class RetentionSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """How old the memories of a type get before they are forgotten; those of a type without an age stay."""

    agent: Annotated[Age | None, Meta(description="Notes and turns.")] = None
    rag: Annotated[
        Age | None,
        Meta(
            description="Documents and code; the next import reads again files that are still there."
        ),
    ] = None
    workflow: Annotated[
        Age | None,
        Meta(description="Runs of workflows; their rows stay, without result and error."),
    ] = None
    insight: Annotated[Age | None, Meta(description="Insights.")] = None


class HotSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """The vectors that the daemon keeps in its memory; needs the extra `hot`."""

    max_mb: Annotated[
        int,
        Meta(
            ge=0,
            le=65_536,
            description="Most megabytes; 0 keeps none. 100,000 vectors of 768 numbers take about 180.",
        ),
    ] = 512


class MemorySettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """How long memories are kept, and how many vectors in memory."""

    restorable_for: Annotated[
        Age, Meta(description="How long `memory restore` brings back what was forgotten.")
    ] = "7d"
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    hot: HotSettings = field(default_factory=HotSettings)


class InsightSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """What is found in stored texts."""

    marks: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=100)], ...],
        Meta(description="What stands before the rule that opens an insight; none finds nothing."),
    ] = ("★ Insight",)


class MirrorSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """A copy of what happens to your memories, in a file of JSON lines."""

    path: Annotated[
        FilePath | None,
        Meta(description="The file; nothing is mirrored by default."),
    ] = None


class SyncSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """What follows the changes of your memories."""

    schedule: Annotated[
        str | None,
        Meta(
            description="When the daemon gives every target what it lacks and keeps the counts, as a cron "
            "expression in local time; in between it delivers what changes at once. null: never."
        ),
    ] = "0 * * * *"
    mirror: MirrorSettings = field(default_factory=MirrorSettings)
