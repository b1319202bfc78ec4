"""
Supervision under a clock that jumps: as a program, `FOLDER CLOCK`; libfaketime reads how far it is off from `CLOCK`.

It prints a line of JSON: for each clock how often a job ran that is due in a day, and at last what became of two units.
"""

import asyncio
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

from mahavishnu.services.schedule.job import ScheduledJob
from tests.support.units import Supervising, checked_by, comes_true, shell, sleeper

EVERY_S = 0.05


async def main(folder: Path, clock: Path) -> dict[str, object]:
    """Let the clock go two days forward and four back, while a unit is checked and another one crashes."""
    world, checks = Supervising(folder), folder / "checks"
    crashes = shell("crashes", "sleep 0.5; exit 7", restart="always", enabled=False)
    world.define(
        sleeper("a", health=checked_by(f"echo x >> {checks}", interval_s=EVERY_S)), crashes
    )
    due = datetime.now() + timedelta(days=1)
    job = ScheduledJob(folder, "job", f"{due.minute} {due.hour} {due.day} {due.month} *")
    runs: list[int] = []

    def look() -> bool:
        with job.claim(now := datetime.now().astimezone()) as is_due:
            if is_due:
                job.succeed(now)
        return is_due

    async with world.running() as supervisor:
        process = world.process("a")
        for offset in ("+0", "+2d", "-2d"):
            clock.write_text(offset)
            seen, began = checks.read_text().count("x"), asyncio.get_running_loop().time()
            ran = [look() for _ in range(3)]
            await comes_true(lambda seen=seen: checks.read_text().count("x") > seen + 5)
            spent_s = asyncio.get_running_loop().time() - began
            assert spent_s > 4 * EVERY_S, "checks are not made in a burst"
            runs.append(sum([*ran, look()]))
            if offset == "+2d":
                await supervisor.start(["crashes"])
                await comes_true(lambda: world.events("service.give-up crashes"))
        same = world.process("a") == process and not world.events("service.restart a")
    return {"runs": runs, "same": same}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))))
