"""The operations that say which project a checkout is of, where that cannot be known from it."""

from pathlib import Path

from mahavishnu.base.errors import Conflict
from mahavishnu.knowledge.git import find_top_level
from mahavishnu.operations.bodies import Body
from mahavishnu.operations.operation import Call, LocalOperation, Request


class LinkProject(Request, frozen=True, kw_only=True):
    """Which checkout is one of which project."""

    folder: Path
    project: str


class SplitProject(Request, frozen=True, kw_only=True):
    """Which checkout is a project of its own; without a name it is called after its folder."""

    folder: Path
    name: str | None = None


class CheckoutProject(Body, frozen=True, kw_only=True):
    """The project of a checkout from now on, and the one it was of before, if any."""

    path: str
    project: str
    former: str | None = None


async def link_project(call: Call, request: LinkProject) -> CheckoutProject:
    """Recognise a checkout as one of a project that there is."""
    top = await _find_checkout(call, request.folder)
    project, former = await call.app.projects.link(top, request.project)
    return CheckoutProject(path=str(top), project=project, former=former)


async def split_project(call: Call, request: SplitProject) -> CheckoutProject:
    """Make a checkout a project of its own."""
    top = await _find_checkout(call, request.folder)
    project, former = await call.app.projects.split(top, name=request.name)
    return CheckoutProject(path=str(top), project=project, former=former)


async def _find_checkout(call: Call, folder: Path) -> Path:
    """Return the top of a checkout; refuses one whose chunks are of its project."""
    top = (await find_top_level(folder)).resolve()
    for each in await call.app.repositories.list_all():
        if each.path == top:
            raise Conflict(
                f"{top} is ingested as the repository {each.name}, in the project of that name.",
                hint=f"Remove it, then add it again: mahavishnu repo remove {each.name}",
                code="project.repository",
            )
    return top


LOCAL_PROJECT_OPERATIONS = (
    LocalOperation(
        name="link_project", request=LinkProject, result=CheckoutProject, run=link_project
    ),
    LocalOperation(
        name="split_project", request=SplitProject, result=CheckoutProject, run=split_project
    ),
)
