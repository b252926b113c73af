"""What a scenario is, and the list of all."""

import functools
from dataclasses import dataclass, field

CERTAINTIES = ("likely", "shown", "proven")
SIDES = ("client", "server", "path.client", "path.server", "weir")


@dataclass
class Truth:
    """What a run did, as its peers measured it."""
    lost: float            # seconds that the cause cost
    exchanges: int = 0
    round_trip: float = 0  # seconds, of the link: time that is the path's and nobody's fault
    tolerance: tuple = None
    at_once: int = 1       # sessions


@dataclass(frozen=True)
class Scenario:
    """`play(scene, draw)` provokes the cause, and returns the Truth.

    cause      what must be told: one name, or several where two names say the same; empty: nothing but the healthy
               (think, client_think) may be told
    sides      of which one must be blamed
    certainty  the least that the verdict must have; "likely" where the socket cannot show it
    also       causes that are told beside it and are no error
    never      (cause, least certainty) that must not be told of it: its look-alikes
    tolerance  the told time, as a multiple of the true
    link       None, "client" or "server": which leg has the emulated path (needs root)
    alone      takes all CPUs: nothing else runs beside it
    quick      belongs to the short form
    fix        a pattern of what the verdict must advise
    """
    name: str
    cause: tuple
    sides: tuple
    play: object
    certainty: str = "likely"
    also: frozenset = frozenset()
    never: tuple = ()
    tolerance: tuple = (0.75, 1.3)
    link: str = None
    root: bool = False
    alone: bool = False
    quick: bool = False
    needs: str = ""
    fix: str = ""
    congestion: str = "cubic"
    tags: frozenset = field(default_factory=frozenset)

    @property
    def expected(self):
        return "/".join(self.cause) or "healthy"


SCENARIOS = {}


def scenario(name, cause=None, side=SIDES, **how):
    """Registers the function below it. Without a cause it is the name's part before the dot."""
    if cause is None:
        cause = name.partition(".")[0]
    cause = (cause,) if isinstance(cause, str) else tuple(cause)
    sides = (side,) if isinstance(side, str) else tuple(side)
    how["also"] = frozenset(how.get("also", ()))

    def register(function):
        assert name not in SCENARIOS, name
        SCENARIOS[name] = Scenario(name, cause, sides, function, **how)
        return function
    return register


def both_sides(name, path=False, far=False, **how):
    """Registers `function(scene, draw, side)` for the client's side and the server's. `path`: the side blamed is the
    path to it; `far`: that peer is behind the link."""
    def register(function):
        for side in ("server", "client"):
            blamed = f"path.{side}" if path else side
            scenario(f"{name}.{side}", how.get("cause", name.partition(".")[0]), how.get("sides", {}).get(side, blamed),
                     link=side if path or far else None,
                     **{key: value for key, value in how.items() if key not in ("cause", "sides")})(
                         functools.partial(function, side=side))
        return function
    return register
