"""The ledger of the soak notices what is lost, doubled, back again or of nobody, and bears what nobody knows."""

from tests.soak.harms import Harm
from tests.soak.home import Failure
from tests.soak.ledger import Ledger
from tests.soak.report import availability, explain
from tests.soak.watching import Probe


def test_each_fate_is_held_against_what_is_there() -> None:
    ledger = Ledger()
    ledger.note("unsure", "kept", "lost", "doubled", "forgotten", "back", "perhaps", "perhaps too")
    ledger.note("there", "kept", "lost", "doubled")
    ledger.note("gone", "forgotten", "back")
    found = {"kept": 1, "doubled": 2, "back": 1, "perhaps": 1, "strange": 1}
    wrong = [each.partition(":")[0] for each in ledger.check(found)]
    assert wrong == ["lost", "doubled", "back", "strange"]


def test_only_a_fault_that_can_cause_it_explains_a_failure() -> None:
    harms = [Harm("server", 10.0, 12.0), Harm("daemon", 50.0, 60.0)]
    assert explain(Failure(11.0, "store", "database.unreachable", ""), harms) == "server"
    assert explain(Failure(11.0, "store", "ConnectError", ""), harms) == ""
    assert explain(Failure(9.0, "store", "database.unreachable", ""), harms) == ""


def test_a_probe_that_touches_a_fault_is_left_out_with_it() -> None:
    probes = [Probe(9.0, "", 0.1), Probe(9.9, "ReadError", 0.2), Probe(30.0, "slow", 5.0)]
    assert availability(probes, [Harm("daemon", 10.0, 20.0)]) == (1, 3)
    assert availability(probes, [Harm("daemon", 10.0, 20.0)], "daemon") == (1, 2)
