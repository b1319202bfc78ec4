"""Budgets of tests, by the record of a whole run: what is above them today is named, and nothing else may be."""

from scripts.durations import Durations, read_durations

# To be made quicker. None may be added: a test gets shorter, is told in two, or is left to `make test-deep`.
ABOVE_TODAY = {
    "tests/acceptance/test_cli_doctor.py",
    "tests/acceptance/test_cli_doctor.py::test_the_whole_life_of_a_home",
    "tests/acceptance/test_cli_processes.py",
    "tests/acceptance/test_crash.py",
    "tests/acceptance/test_daemon.py",
    "tests/acceptance/test_daemon_faults.py::test_a_start_on_a_full_disk_says_so[first start]",
    "tests/docs/test_tours.py::test_a_tour_runs_as_it_stands[README]",
    "tests/docs/test_tours.py::test_a_tour_runs_as_it_stands[first-memories]",
    "tests/peers/test_bound_codex.py::test_codex_is_kept_through_ten_switches_of_the_whole",
    "tests/peers/test_bound_directories.py::test_ten_switches_of_the_whole_change_nothing_there",
    "tests/peers/test_bound_qwen.py::test_qwen_is_kept_through_ten_switches_of_the_whole",
    "tests/peers/test_bound_qwen.py::test_qwen_is_stopped_wherever_it_is_led",
    "tests/peers/test_clock_back.py::test_a_clock_that_is_set_back_loses_nothing",
    "tests/peers/test_llamaindex_trees.py::test_a_real_tree_is_read_whole_once_and_answers[package]",
    "tests/peers/test_llamaindex_trees.py::test_a_real_tree_is_read_whole_once_and_answers[repository]",
    "tests/peers/test_pgbouncer.py::test_everything_works_through_the_pooler",
    "tests/peers/test_prefect.py",
    "tests/peers/test_prefect.py::test_a_deployment_is_started_for_each_repository",
    "tests/peers/test_prefect.py::test_a_server_is_followed_also_after_it_was_away",
    "tests/peers/test_running_sessions.py::test_codex",
    "tests/peers/test_running_sessions.py::test_qwen_code",
    "tests/peers/test_session_buddy.py::test_what_it_stores_survives_its_end",
    "tests/peers/test_team.py::test_two_clients_share_what_their_users_choose",
    "tests/peers/test_three_engines.py::test_what_failed_and_what_was_done_about_it",
}


def test_nothing_new_takes_more_than_its_budget() -> None:
    assert read_durations().over_budget() <= ABOVE_TODAY


def test_a_budget_is_a_share_of_the_whole() -> None:
    files = {"tests/unit/test_short.py": 3000.0, "tests/peers/test_real.py": 100.0}
    files |= {"tests/integration/test_long.py": 90.0, "tests/acceptance/test_rest.py": 310.0}
    tests = {"tests/peers/test_real.py::test_a": 21.0, "tests/peers/test_real.py::test_b": 19.0}
    own = {"tests/unit/test_short.py", "tests/integration/test_long.py"}
    over = {*own, "tests/acceptance/test_rest.py", "tests/peers/test_real.py::test_a"}
    assert Durations(files, tests).over_budget() == over
    slow = Durations(
        {file: 3 * taken for file, taken in files.items()},
        {test: 3 * taken for test, taken in tests.items()},
    )
    assert slow.over_budget() == over
