"""What is called: one of the endpoints with arguments of its types, or an event of the page with as many as it has."""

from typing import TYPE_CHECKING, Any

from segue.errors import InputError, nearest
from segue.explorer.arguments import ENDPOINTS, MAX_TEXT, refused

if TYPE_CHECKING:
    from gradio import Blocks

CALL, NAMED, JOIN = "/gradio_api/call/", "/gradio_api/call/v2/", "/gradio_api/queue/join"


class Calls:
    """The calls that a page's server takes."""

    def __init__(self, blocks: "Blocks") -> None:
        self.blocks = blocks

    def check(self, path: str, body: Any) -> Any:
        """The JSON of a call with every argument in its place.

        Raises:
            InputError: no such endpoint or event, or arguments of other names, types or bounds.
        """
        if not isinstance(body, dict):
            raise InputError("the request is no JSON object")
        if not isinstance(session := body.get("session_hash") or "", str) or len(session) > MAX_TEXT:
            raise InputError(f"session_hash: give a text of {MAX_TEXT} characters at most")
        if path.startswith(NAMED):
            check_named(path.removeprefix(NAMED), body)
            return body
        if path.startswith(CALL):
            return {"data": positional(path.removeprefix(CALL), body.get("data"))}
        return body | {"data": self.event(body)} if path == JOIN else body

    def event(self, body: dict[str, Any]) -> list[Any]:
        """The arguments of a call by the number of its event, as pages and gradio's clients make it."""
        number, data = body.get("fn_index"), body.get("data")
        event = self.blocks.fns.get(number) if type(number) is int else None
        if event is None:
            raise InputError(f"fn_index: there is no event {number!r:.80}; load the page again")
        if event.api_visibility == "public":
            return positional(str(event.api_name), data)
        if not isinstance(data, list) or len(data) != len(event.inputs):
            raise InputError(f"data: give a list of the event's {len(event.inputs)} values")
        return data


def positional(endpoint: str, data: Any) -> list[Any]:
    """The arguments of an endpoint as a list, completed by their defaults.

    >>> positional("images", ["p1"])
    ['p1', 100]
    """
    if not isinstance(data, list):
        raise InputError(f"data: give the arguments of /{endpoint} as a list")
    fields = ENDPOINTS[endpoint].model_fields if endpoint in ENDPOINTS else {}
    if endpoint in ENDPOINTS and len(data) > len(fields):
        raise InputError(f"data: /{endpoint} takes {len(fields)} arguments ({', '.join(fields)}), not {len(data)}")
    given = dict(zip(fields, data, strict=False))
    check_named(endpoint, given)
    return [given.get(name, field.default) for name, field in fields.items()]


def check_named(endpoint: str, given: dict[str, Any]) -> None:
    """Refuse an unknown endpoint, or arguments that it does not take."""
    if endpoint not in ENDPOINTS:
        raise InputError(f"there is no endpoint /{endpoint:.80}{nearest(endpoint, ENDPOINTS)}")
    if said := refused(ENDPOINTS[endpoint], given):
        raise InputError(said)
