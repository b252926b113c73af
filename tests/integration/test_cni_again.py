"""The same attachment again, when a crash has come between an ADD and its DEL: the namespace and the link are gone, the
lease and the rules are there."""

import os

import pytest

from cni_host import OURS, bridge_config, ipam_config, with_result

pytestmark = pytest.mark.slow

FIXED = ipam_config([{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.5", "rangeEnd": "10.1.0.5"}])
STORE = {"cniVersion": "1.1.0", "name": "net1", "type": "host-local", "ipam": FIXED}


@pytest.mark.parametrize("backend", ["iptables", "nftables"])
@pytest.mark.parametrize("ipam", [FIXED, ipam_config("10.1.0.0/24", "fd00:9::/64")], ids=["one address", "many"])
def test_an_attachment_whose_namespace_is_gone_is_made_again(host, backend, ipam):
    config = bridge_config("1.1.0", isGateway=True, ipMasq=True, ipMasqBackend=backend, macspoofchk=True, ipam=ipam)
    host.add(config)
    for _ in range(2):
        host.run("ip", "netns", "del", "c1")
        result = host.add(config)
        known = with_result(config, result)
        assert host.call("CHECK", known).code == 0
        assert host.leased() == sorted(each["address"].split("/")[0] for each in result["ips"])
        sources = sum(f"{each['address'].split('/')[0]}" in line for each in result["ips"]
                      for line in host.rules().splitlines() if "-s " in line or "saddr" in line)
        assert sources == len(result["ips"]), "rules of the lost one are there"
    assert host.call("DEL", known).code == 0
    assert (host.veths(), host.leased(), "id: c1" in host.rules()) == ([], [], False)


def test_one_that_lives_is_refused_and_stays(host):
    config = bridge_config("1.1.0", isGateway=True, ipMasq=True)
    known = with_result(config, host.add(config))
    before = host.rules(), host.leased(), host.veths()
    host.container("c2")
    for netns in (None, "/run/netns/c2"):
        assert host.call("ADD", config, netns=netns).code == 1
    host.run("ip", "link", "set", host.veths()[0], "name", "renamed0")
    assert "duplicate allocation" in host.call("ADD", config, netns="/run/netns/c2").message
    assert (host.rules(), host.leased()) == before[:2]
    host.run("ip", "link", "set", "renamed0", "name", before[2][0])
    assert host.call("CHECK", known).code == 0


def test_a_second_interface_keeps_what_it_has(host):
    config = bridge_config("1.1.0", isGateway=True, ipMasq=True, ipMasqBackend="iptables")
    host.add(config)
    second = with_result(config, host.add(config, ifname="eth1"))
    host.run("ip", "-n", "c1", "link", "del", "eth0")
    result = host.add(config)
    assert host.call("CHECK", second, ifname="eth1").code == 0
    assert host.call("CHECK", with_result(config, result)).code == 0


def test_an_old_lease_that_names_no_interface_is_refused(host):
    """It may be another interface's."""
    config = bridge_config("1.1.0")
    (host.leases / "net1").mkdir()
    (host.leases / "net1" / "10.1.0.9").write_text("c1")
    answer = host.call("ADD", config, netns=host.container("c1"))
    assert answer.code == 1
    assert "10.1.0.9 has been allocated to c1, duplicate allocation is not allowed" in answer.message


def test_host_local_alone_knows_a_namespace_that_is_gone(host):
    """For other plugins it does not know the links; but the lease says for which namespace it was made."""
    host.add(STORE)
    try:
        os.getxattr(host.leases / "net1" / "10.1.0.5", "user.weir.netns")
    except OSError:
        pytest.skip("this file system keeps no user attributes, or this kernel gives namespaces no cookie")
    assert "duplicate allocation" in host.call("ADD", STORE).message
    host.run("ip", "netns", "del", "c1")
    host.container("other")
    assert host.call("ADD", STORE, netns="/run/netns/other").code == 0, "its namespace is nowhere"
    assert "duplicate allocation" in host.call("ADD", STORE, netns=host.container("c1")).message
    host.run("ip", "netns", "del", "other")
    host.container("other")
    assert host.call("ADD", STORE, netns="/run/netns/other").code == 0, "another of the same path"
    assert host.leased() == ["10.1.0.5"]


def test_the_two_as_copies_know_it_too(host):
    folder = "/run/netns/leases/plugins"
    for name in ("bridge", "host-local"):
        host.run("mkdir", "-p", f"{folder}/{name}-only")
        host.run("cp", OURS / "bridge", f"{folder}/{name}-only/{name}")
    both = f"{folder}/bridge-only:{folder}/host-local-only"
    config = bridge_config("1.1.0", isGateway=True, ipam=FIXED)
    how = {"plugins": f"{folder}/bridge-only", "CNI_PATH": both}
    host.add(config, **how)
    host.run("ip", "netns", "del", "c1")
    host.add(config, **how)
    assert host.leased() == ["10.1.0.5"]
