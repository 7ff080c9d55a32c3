"""In which order the trials of a plan are sent. Their positions in the plan, and so the tables, do not depend on it."""

from collections.abc import Mapping, Sequence

from probes.draws import Draws
from probes.models.base import Request, Traits
from probes.plan import PlannedTrial


def dispatch_order(trials: Sequence[PlannedTrial], traits: Traits, seed: object) -> list[int]:
    """Indexes into `trials`, block after block, in the order in which a model should get them.

    Shuffled inside the block, and alike for every model: no arm is always first, and models asked side by side get
    the same question at about the same time.

    For a model that `shares_prefixes`: trials whose prompts begin alike are neighbours, sorted, so that each computes
    only what the one before it did not; the groups are shuffled.
    """
    return [index for group in dispatch_groups(trials, traits, seed) for index in group]


def dispatch_groups(trials: Sequence[PlannedTrial], traits: Traits, seed: object) -> list[list[int]]:
    """The same order, in groups of neighbours whose prompts begin alike; each trial alone where that saves nothing."""
    order: list[list[int]] = []
    for block, indexes in _by_block(trials).items():
        draws = Draws(f"dispatch/{seed}/{block}")
        if traits.shares_prefixes:
            order += draws.shuffled(_prefix_groups({index: rendered(trials[index].request) for index in indexes}))
        else:
            order += [[index] for index in draws.shuffled(indexes)]
    return order


def shared_prefix(requests: Sequence[Request]) -> int:
    """How many characters at the beginning of the last message with the role `user` all these requests share.

    0 for a single request, and where something before that message differs already.
    """
    turns = [_last_user_turn(request) for request in requests]
    if len(requests) < 2 or None in turns:
        return 0
    before = {request.messages[:turn] for request, turn in zip(requests, turns, strict=True)}
    texts = [request.messages[turn or 0].content for request, turn in zip(requests, turns, strict=True)]
    return _common_beginning(min(texts), max(texts)) if len(before) == 1 else 0


def _common_beginning(one: str, other: str) -> int:
    """How many characters two texts share at their beginning. For many: those of the first and the last in order."""
    shared, differs = 0, min(len(one), len(other)) + 1
    while differs - shared > 1:
        middle = (shared + differs) // 2
        if one[shared:middle] == other[shared:middle]:
            shared = middle
        else:
            differs = middle
    return shared


def _last_user_turn(request: Request) -> int | None:
    roles = [message.role for message in request.messages]
    return len(roles) - 1 - roles[::-1].index("user") if "user" in roles else None


def rendered(request: Request) -> str:
    """The request as one text, near enough to what the model reads: the same beginning here is the same there."""
    turns = [f"{message.role}\n{message.content}" for message in request.messages]
    return "\n\n".join(turns) + (request.continuation or "")


def _by_block(trials: Sequence[PlannedTrial]) -> dict[int, list[int]]:
    blocks: dict[int, list[int]] = {}
    for index, trial in enumerate(trials):
        blocks.setdefault(trial.block, []).append(index)
    return blocks


def _prefix_groups(texts: Mapping[int, str]) -> list[list[int]]:
    """Sorting puts common beginnings side by side; a group goes on while half of the shorter neighbour is shared.

    Example: {0: "long text, who?", 1: "why? long text", 2: "long text, where?"} -> [[2, 0], [1]]
    """
    groups: list[list[int]] = []
    previous = ""
    for index in sorted(texts, key=lambda index: (texts[index], index)):
        text = texts[index]
        half = (min(len(previous), len(text)) + 1) // 2
        if groups and previous[:half] == text[:half]:
            groups[-1].append(index)
        else:
            groups.append([index])
        previous = text
    return groups
