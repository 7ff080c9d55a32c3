"""One model's share of a run: what it is still to be asked, in which order, and what is known of its costs."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from probes.budget import Amount, Limits, Reservation
from probes.concurrency import Gate
from probes.dispatch import dispatch_groups, shared_prefix
from probes.models.base import Completion, Model, Request
from probes.models.calls import Patience
from probes.plan import PlannedTrial
from probes.prices import Price, cost_nano_usd, most_nano_usd, price_json, price_of
from probes.prompt_tokens import PromptTokens, prompt_bytes
from tokenizer.errors import UsageError

HOSTED_TIMEOUT_S, HOSTED_TRIAL_TIMEOUT_S = 600.0, 1200.0


@dataclass(slots=True)
class Group:
    """Neighbours whose prompts begin alike. Where the model keeps what they share, one goes ahead of the others."""

    cache_prefix: int
    is_warm: bool
    is_warming: bool = False


@dataclass(slots=True)
class Lane:
    """Positions to send in this order, and those for which another process has a call in flight (`held`)."""

    model: Model
    first: int  # the position of the model's first trial
    trials: Sequence[PlannedTrial]
    gate: Gate
    price: Price | None
    price_json: str | None = None  # as it is kept with each attempt
    waiting: deque[int] = field(default_factory=deque)
    held: list[int] = field(default_factory=list)
    groups: dict[int, Group] = field(default_factory=dict)
    tokens: PromptTokens = field(default_factory=PromptTokens)
    told: set[str] = field(default_factory=set)  # what was said of this model already

    def fill(self, wanted: Sequence[int], is_pending: Callable[[int], bool], seed: object) -> None:
        """Line up the positions of `wanted` (in plan order) that are pending, in the order of dispatch."""
        trials = [self.trials[position - self.first] for position in wanted]
        for places in dispatch_groups(trials, self.model.traits, seed):
            positions = [wanted[place] for place in places if is_pending(wanted[place])]
            prefix = shared_prefix([self.request(position) for position in positions])
            group = Group(prefix, is_warm=not prefix or self.gate.ceiling == 1)
            for position in positions:
                self.waiting.append(position)
                if prefix:
                    self.groups[position] = group

    def request(self, position: int) -> Request:
        """What is asked at this position."""
        request = self.trials[position - self.first].request
        group = self.groups.get(position)
        return replace(request, cache_prefix=group.cache_prefix) if group else request

    def take(self) -> int | None:
        """The next position to ask for; None where there is none, or none before a first of its group is answered."""
        for index, position in enumerate(self.waiting):
            group = self.groups.get(position)
            if group is None or group.is_warm or not group.is_warming:
                if group is not None and not group.is_warm:
                    group.is_warming = True
                del self.waiting[index]
                return position
        return None

    def give_back(self, position: int) -> None:
        """The call for this position has ended, well or not: the others of its group need not wait any longer."""
        group = self.groups.get(position)
        if group is not None:
            group.is_warm = True

    def patience(self, limits: Limits, clock: Callable[[], float]) -> Patience:
        """How long one trial may take. A model that runs here may take its time, unless something else was said."""
        is_local = self.model.traits.free and self.model.traits.max_concurrency == 1
        timeout_s, trial_timeout_s = limits.timeout_s, limits.trial_timeout_s
        if not is_local:
            timeout_s = HOSTED_TIMEOUT_S if timeout_s is None else timeout_s
            trial_timeout_s = HOSTED_TRIAL_TIMEOUT_S if trial_timeout_s is None else trial_timeout_s
        return Patience(limits.max_attempts, timeout_s, trial_timeout_s, clock=clock)

    def tell_once(self, say: Callable[[str], None] | None, topic: str, words: str | None) -> None:
        """A line for people, if there is one and somebody to tell it to; once for each topic."""
        if words and say is not None and topic not in self.told:
            self.told.add(topic)
            say(words)

    # ------------------------------------------------------------------------------------------------- costs

    def check_price(self) -> None:
        """Refuse to ask at an unknown price.

        Raises:
            UsageError: there is something to ask, and nobody knows what it costs.
        """
        if self.waiting and self.price is None:
            raise UsageError(
                f"nobody knows what {self.model.name} costs, so --max-cost cannot be kept",
                hint="give its prices in the config file, or --allow-unpriced to leave its calls out of the sum",
            )

    def most(self, request: Request) -> Amount:
        """The most that one call for the request can cost."""
        prompt = self.tokens.most(prompt_bytes(request))
        nano_usd = None if self.price is None else most_nano_usd(self.price, prompt, request.max_tokens)
        return Amount(nano_usd, prompt + request.max_tokens)

    def cost(self, completion: Completion) -> int | None:
        """What the answer did cost, in nano-dollars; None where that is not known."""
        return cost_nano_usd(self.price, completion.usage)

    def book(self, completion: Completion, reservation: Reservation) -> None:
        """Put what the answer did cost in the place of what was set aside; where that is not known, that stays."""
        usage, cost = completion.usage, self.cost(completion)
        is_counted = usage.input_tokens is not None and usage.output_tokens is not None
        tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0) if is_counted else None
        reservation.settle(cost, tokens)

    def learn(self, request: Request, completion: Completion) -> str | None:
        """Take note of how long the prompt is by the server's count; a warning where it has read less than was sent."""
        size, tokens = prompt_bytes(request), completion.usage.input_tokens
        if tokens is None:
            return None
        if not self.tokens.is_cut(size, tokens):
            self.tokens.saw(size, tokens)
            return None
        return (
            f"warning: {self.model.name} says that it has read {tokens:,} tokens of a prompt of {size:,} bytes: "
            "its server may cut long prompts; look at its settings, and give its --window"
        )


def gate_key(model: Model) -> tuple[str, ...]:
    """Models with one key share what their server takes at a time: one model of one endpoint, however it is named."""
    identity: Mapping[str, object] = model.identity
    return tuple(str(identity.get(part, model.name)) for part in ("endpoint", "model"))


def make_lanes(
    models: Sequence[Model], trials: Sequence[PlannedTrial], jobs: int, clock: Callable[[], float]
) -> list[Lane]:
    """An empty lane for each model, in the order of the plan."""
    gates: dict[tuple[str, ...], Gate] = {}
    lanes = []
    for number, model in enumerate(models):
        gate = gates.setdefault(gate_key(model), Gate(min(jobs, model.traits.max_concurrency or jobs), clock=clock))
        price = price_of(model)
        lanes.append(Lane(model, number * len(trials), trials, gate, price, price_json(price) if price else None))
    return lanes
