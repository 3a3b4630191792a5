"""What users leave behind is deleted: while the server runs after a stated time, and all of it when the server ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from segue.explorer import pictures
from segue.explorer.private_folder import PrivateFolder

if TYPE_CHECKING:
    from segue.explorer.models import Explored

LIFE = 3600.0  # seconds until an upload, a session's image and an answer that nobody fetched are deleted
LOOKS = 12  # in one life


def tidied(
    folder: PrivateFolder, explored: "Explored", *, life: float = LIFE
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """The lifespan of a server that deletes what is older than `life` in seconds."""

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        task = asyncio.create_task(tidy(folder, explored, app, life))
        try:
            yield
        finally:
            task.cancel()
            forget_images(explored)
            folder.remove()

    return lifespan


async def tidy(folder: PrivateFolder, explored: "Explored", app: Any, life: float) -> None:
    """Several times in one life: delete old files, caches as a whole, and answers that nobody has fetched."""
    step, waiting = life / LOOKS, list[set[str]]()
    for turn in range(1, 1 << 62):
        await asyncio.sleep(step)
        await asyncio.to_thread(folder.forget, life - step)
        if turn % (LOOKS // 2) == 0:
            forget_images(explored)
            messages = app.get_blocks()._queue.pending_messages_per_session
            waiting = [*waiting[-1:], {session for session, queue in messages.items() if not queue.empty()}]
            for session in set.intersection(*waiting) if len(waiting) == 2 else ():
                messages.pop(session, None)


def forget_images(explored: "Explored") -> None:
    """Drop what was inferred from users' images, and outlines that were drawn of them."""
    explored.forget()
    pictures.forget()
