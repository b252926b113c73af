"""The rows of the table: what each measures, and what it must show. Samples are milliseconds, one of each kind a
round; in a round ours and the reference take turns at being first."""

import json
import random
import time

from cni_host import OURS, REFERENCE, bridge_config, ipam_config

from harness import stats
from harness.report import Claim

from .arms import Arm, enter_net, run_quietly, timed_program
from .floor import Floor
from .memory import peak_kib

PLAIN = bridge_config(isGateway=True, ipam=ipam_config("10.1.0.0/16"))
DUAL = ipam_config("10.1.0.0/16", "fd00:9::/64")
AT_ONCE = 16
LEASES = (0, 1000, 20000)
DOOMED = "CNI-floor"
# Deleting a link or a rule waits for grace periods of the kernel's RCU. What was done just before may have begun one,
# and how much of it is left would decide the time. So each step begins at rest, and at a moment of no significance.
REST = (0.03, 0.06)
PAUSES = random.Random(1)


def rest():
    time.sleep(PAUSES.uniform(*REST))


def collect(rounds, arms, one_round):
    """`one_round(arm)` gives {kind: milliseconds}; the kinds of the arm named "ours" come as "ours KIND"."""
    samples = {}
    for number in range(rounds + 1):
        for name in sorted(arms, reverse=number % 2 == 0):
            for kind, value in one_round(arms[name], name).items():
                if number > 0:  # the first warms up
                    samples.setdefault(kind, []).append(value)
    return samples


def ratio(samples, text, limit, ours, theirs):
    ratios = [a / b for a, b in zip(samples[ours], samples[theirs])]
    return Claim(text, limit).measured(*stats.median_with_interval(ratios), pairs=len(ratios))


def above(samples, text, limit, kind, *floors):
    over = [a - max(low) for a, *low in zip(samples[kind], *(samples[floor] for floor in floors))]
    return Claim(text, limit, unit=" ms").measured(*stats.median_with_interval(over), pairs=len(over))


class Attach:
    """ADD and DEL of one container; bridge and tables are there, as another container is attached."""

    rounds = 160  # a DELLINK takes anything from 8 to 25 ms, so that a difference of 2 wants many

    def __init__(self, name, title, config, add, delete, times=None, restore=False):
        self.name, self.title, self.config = name, title, config
        self._add, self._delete, self._times, self._restore = add, delete, times, restore

    def measure(self, rounds):
        arms = {"ours": Arm(OURS)}
        if self._times is not None:
            arms["reference"] = Arm(REFERENCE)
        for arm in arms.values():
            arm.host.add(self.config, "warm")
            arm.host.container("c1")
        arms["ours"].inside()
        arms["ours"].host.container("floor")
        addresses = ["10.1.250.9/16"] + (["fd00:9::fa09/64"] if self.config["ipam"] is DUAL else [])
        floor = Floor("br1", "/run/netns/floor", enter_net, addresses)

        def one_round(arm, name):
            steps = {f"{name} ADD": lambda: arm.timed(self.config, "ADD"),
                     f"{name} DEL": lambda: arm.timed(self.config, "DEL")}
            if name == "ours":
                low = {"floor": floor.add, "DELLINK": lambda: self._time_dellink(floor)}
                if self._restore:
                    low["restore"] = self._time_restore
                steps = {**low, **steps}
            arm.inside()
            out = {}
            for kind, step in steps.items():
                rest()
                out[kind] = step()
            return out

        return collect(rounds, arms, one_round)

    @staticmethod
    def _time_dellink(floor):
        """Right after a program's start and end, as in a plugin: they too leave the kernel something to wait for."""
        run_quietly(["/bin/true"])
        return floor.delete()

    @staticmethod
    def _time_restore():
        """One iptables-restore that deletes a chain and the jump to it: what a masquerading DEL must at least do."""
        restore = ["/usr/sbin/iptables-restore", "--noflush", "--wait"]
        jump = f"POSTROUTING -s 10.1.250.9/32 -j {DOOMED}"
        run_quietly(restore, f"*nat\n:{DOOMED} - [0:0]\n-A {jump}\nCOMMIT\n")
        return timed_program(restore, f"*nat\n-D {jump}\n-F {DOOMED}\n-X {DOOMED}\nCOMMIT\n")

    def claims(self, samples):
        floors = ["DELLINK"] + (["restore"] if self._restore else [])
        under = "the greater of DELLINK and one deleting restore" if self._restore else "the kernel's DELLINK"
        out = [above(samples, "ADD above the floor", self._add, "ours ADD", "floor")]
        if self._times is not None:
            out.append(ratio(samples, "ADD against the reference", self._times, "ours ADD", "reference ADD"))
        return [*out, above(samples, f"DEL above {under}", self._delete, "ours DEL", *floors)]


class AtOnce:
    """Sixteen calls started together, from the first exec to the last wait."""

    name, title, rounds = "parallel", f"{AT_ONCE} at once", 10
    MODES = {"plain": PLAIN, "masquerade": {**PLAIN, "ipMasq": True}}

    def measure(self, rounds):
        samples = {}
        for mode, config in self.MODES.items():
            arms = {"ours": Arm(OURS), "reference": Arm(REFERENCE)}
            for arm in arms.values():
                arm.host.add(config, "warm")
                for number in range(AT_ONCE):
                    arm.host.container(f"c{number}")

            def one_round(arm, name, config=config, mode=mode):
                return {f"{name} {mode} {command}": self._wave(arm, config, command) for command in ("ADD", "DEL")}

            samples.update(collect(rounds, arms, one_round))
        return samples

    @staticmethod
    def _wave(arm, config, command):
        arm.inside()
        calls = [arm.start(config, command, container=f"c{number}") for number in range(AT_ONCE)]
        took = max(call.finish() for call in calls)  # raises if one failed
        if command == "ADD" and arm.plugins == OURS:
            results = [json.loads(call.text) for call in calls]
            macs = {result["interfaces"][0]["mac"] for result in results}
            if macs != {arm.host.links()["br1"]["address"]}:
                raise RuntimeError(f"wrong MAC of the bridge in a result: {macs}")
            if len({result["ips"][0]["address"] for result in results}) != AT_ONCE:
                raise RuntimeError("one address twice")
        return took

    def claims(self, samples):
        limits = {("plain", "ADD"): 0.4, ("masquerade", "ADD"): 0.4, ("masquerade", "DEL"): 0.4, ("plain", "DEL"): 1.0}
        return [ratio(samples, f"{mode} {command} against the reference; no failure, no wrong MAC", limit,
                      f"ours {mode} {command}", f"reference {mode} {command}")
                for (mode, command), limit in limits.items()]


def host_local(subnet="10.0.0.0/8"):
    return {"cniVersion": "1.0.0", "name": "net1", "type": "host-local", "ipam": ipam_config(subnet)}


def fill(host, count):
    folder = host.leases / "net1"
    for number in range(count):
        (folder / f"10.9.{number // 250}.{number % 250 + 1}").write_text(f"x{number}\r\neth0", newline="")


class Leases:
    """host-local alone, in stores of different sizes."""

    name, title, rounds = "host-local", "host-local with so many leases", 20
    LIMITS = dict(zip(LEASES, (0.5, 0.2, 0.05)))

    def measure(self, rounds):
        samples, config = {}, host_local()
        for count in LEASES:
            arms = {"ours": Arm(OURS), "reference": Arm(REFERENCE)}
            for arm in arms.values():
                arm.host.call("ADD", config, container="first")
                fill(arm.host, count)
                arm.host.call("ADD", config, container="second")

            def one_round(arm, name, count=count):
                out = {f"{name} {command} {count}": arm.timed(config, command) for command in ("ADD", "DEL")}
                if name == "ours":
                    # As if a reference plugin had been here: the index is built again.
                    (arm.host.leases / "net1" / "last_reserved_ip.7").write_text("10.0.0.1")
                    (arm.host.leases / "net1" / "last_reserved_ip.7").unlink()
                    out[f"ours ADD {count} after a change by others"] = arm.timed(config, "ADD")
                    arm.timed(config, "DEL")
                return out

            samples.update(collect(rounds, arms, one_round))
        return samples

    def claims(self, samples):
        out = []
        for command in ("ADD", "DEL"):
            out += [ratio(samples, f"{command}, {count:,} leases, against the reference", limit,
                          f"ours {command} {count}", f"reference {command} {count}")
                    for count, limit in self.LIMITS.items()]
            out.append(ratio(samples, f"{command}, 20,000 leases against none", 2,
                             f"ours {command} 20000", f"ours {command} 0"))
        return out


class Start:
    """VERSION: a program's start and end."""

    name, title, rounds = "start", "Start (VERSION)", 100

    def measure(self, rounds):
        arms = {"ours": Arm(OURS), "reference": Arm(REFERENCE)}
        return collect(rounds, arms, lambda arm, name: {
            f"{name} {plugin}": arm.timed(PLAIN, "VERSION", plugin=plugin) for plugin in ("bridge", "host-local")})

    def claims(self, samples):
        return [ratio(samples, f"{plugin} against the reference", 0.6, f"ours {plugin}", f"reference {plugin}")
                for plugin in ("bridge", "host-local")]


class Memory:
    """The most that was resident (VmHWM at exit), in KiB and not in milliseconds."""

    name, title, rounds = "memory", "Memory, KiB", 3
    CASES = {"bridge, dual masquerade": {**PLAIN, "ipMasq": True, "ipam": DUAL},
             "bridge, nftables": {**PLAIN, "ipMasq": True, "ipMasqBackend": "nftables"},
             "host-local, no lease": host_local(), "host-local, 20,000 leases": host_local("10.64.0.0/10")}

    def measure(self, rounds):
        samples = {}
        for case, config in self.CASES.items():
            for name, plugins in (("ours", OURS), ("reference", REFERENCE)):
                arm = Arm(plugins)
                arm.host.call("ADD", config, container="first")
                fill(arm.host, 20000 if "20,000" in case else 0)
                arm.host.call("ADD", config, container="second")
                arm.host.container("c1")
                arm.inside()
                for _ in range(rounds):
                    for command in ("ADD", "DEL"):
                        peak = peak_kib([str(plugins / config["type"])], arm.host.environment(command),
                                        json.dumps(config))
                        samples.setdefault(f"{name} {case} {command}", []).append(peak)
        return samples

    def claims(self, samples):
        return [Claim(f"{kind.removeprefix('ours ')}", 2048, unit=" KiB").measured(max(values), pairs=len(values))
                for kind, values in samples.items() if kind.startswith("ours ")]


MASQUERADE = {**PLAIN, "ipMasq": True}
ROWS = {row.name: row for row in (
    Attach("plain", "Plain", PLAIN, 3, 3, 0.3),
    Attach("masquerade", "Masquerade", MASQUERADE, 6, 8, 0.25, restore=True),
    Attach("dual", "Masquerade, IPv4 and IPv6", {**MASQUERADE, "ipam": DUAL}, 8, 8, 0.2, restore=True),
    Attach("nftables", "Masquerade by nftables", {**MASQUERADE, "ipMasqBackend": "nftables"}, 5, 5),
    AtOnce(), Leases(), Memory(), Start())}
