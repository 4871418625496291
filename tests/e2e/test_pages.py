# SPDX-License-Identifier: ISC
"""What README and docs/ say of the program is compared with its source; what they do is test_docs.py's."""
import re
import subprocess

import pytest
import yaml

from documents import PAGES, ROOT, all_blocks, anchors, blocks, first_column, section
from gateway import PROGRAM

# What a block may be. C is test_protocols.py's; the last is output, a picture, or somebody else's configuration.
LANGUAGES = ("sh", "ini", "c", "")


def test_compose_says_what_docker_run_says():
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    service, = compose["services"].values()
    words = re.search(r"docker run .* -v (\S+) -p (\S+) (\S+)$", (ROOT / "README.md").read_text(), re.MULTILINE).groups()
    assert (service["volumes"], service["ports"], service["image"]) == ([words[0]], [words[1]], words[2])
    assert (ROOT / "deploy" / service["build"] / "Dockerfile").exists()


def test_blocks_are_of_a_kind_that_is_tried():
    assert {str(block): block.language for block in all_blocks() if block.language not in LANGUAGES} == {}


def source(*names):
    return "\n".join((ROOT / "proxy" / name).read_text() for name in names)


def named(text, table):
    """The names in a C table of them."""
    return set(re.findall(r'= "(\w+)"', re.search(rf"{table}\[\] = {{(.*?)}};", text, re.DOTALL)[1]))


@pytest.mark.parametrize("table, title, inner", [("end_name", "What `end=` says", {"none"}),
                                                 ("violation_kind", "What `kind=` says", set())])
def test_what_a_session_ends_with_is_explained(table, title, inner):
    told = first_column(section(ROOT / "docs/troubleshooting.md", title))
    assert set(told) - {f"{table.split('_')[0]}=", "kind="} == named(source("session_log.c"), table) - inner
    assert len(told) == len(set(told))


def test_every_event_is_explained():
    text = source(*(path.name for path in (ROOT / "proxy").glob("*.c")))
    events = set(re.findall(r'(?:LEVEL_\w+|level),\s+"([a-z]+\.[a-z]+)"', text))
    assert len(events) > 20
    assert events - set(first_column(section(ROOT / "docs/operations.md", "Log"))) == set()


def test_every_field_of_the_last_line_is_explained():
    body = re.search(r"void session_log_end\(.*?\n}\n", source("session_log.c"), re.DOTALL)[0]
    helpers = re.search(r"static void log_endpoint.*?void session_log_end", source("session_log.c"), re.DOTALL)[0]
    report = re.search(r"void tls_report_session.*?\n}\n.*?\n}\n", source("tls_report.c"), re.DOTALL)[0]
    fields = set(re.findall(r'log_\w+\(&?line, "(\w+)"', body + helpers + report))
    assert len(fields) > 20
    assert fields - set(first_column(section(ROOT / "docs/operations.md", "session.end"))) == set()


def test_every_link_leads_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), f"{page.name}: {link}"
            assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def test_every_claim_of_security_has_its_test():
    rows = re.findall(r"(?m)^\| ([^|]+) \| (`[^|]*`) \|$", (ROOT / "docs/security.md").read_text())
    assert len(rows) > 30
    code = "\n".join(path.read_text() for path in [*ROOT.glob("tests/e2e/*.py"), *ROOT.glob("tests/unit/*.c")])
    for name in re.findall(r"`(\w+)`", " ".join(tests for _, tests in rows)):
        assert re.search(rf"^(def|static void) {name}\(", code, re.MULTILINE), name


def test_every_file_that_architecture_names_is_there():
    text = (ROOT / "docs/architecture.md").read_text()
    for name in set(re.findall(r"`((?:protocols/|proxy/|config/)?[a-z0-9_*]+\.[ch])`", text)):
        assert any(list(ROOT.glob(f"{folder}/{name}")) for folder in (".", "protocols", "config", "proxy")), name


def test_what_is_quoted_is_said():
    page = ROOT / "docs/troubleshooting.md"
    said = "\n".join(path.read_text() for folder in ("protocols", "config", "proxy") for path in (ROOT / folder).glob("*.c"))
    said += "\nPermission denied, No such file or directory"  # strerror
    quoted = [part for words in first_column(section(page, "It does not start")) for part in re.split("…: |…", words)]
    quoted += re.findall(r"`(\d{3} \d\.\d\.\d [^`]+)`", page.read_text())
    assert len(quoted) > 15
    assert [words for words in quoted if words not in said and not words.startswith("server.ready")] == []


# ---- Manual pages ----------------------------------------------------------------------------------


def said(*words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def manual(shared_directory):
    """The pages by name."""
    made = shared_directory / "starttlsd.ini.5"
    said("make", "-s", "-C", ROOT, f"B={shared_directory}", made)
    return {"starttlsd": ROOT / "deploy/man/starttlsd.8", "starttlsd.ini": made}


@pytest.mark.parametrize("name", ["starttlsd", "starttlsd.ini"])
def test_a_manual_page_is_well_formed(manual, name):
    assert said("mandoc", "-T", "lint", "-W", "warning", manual[name]) == ""


def test_every_command_and_option_is_in_the_manual(manual):
    text = said("mandoc", "-T", "markdown", manual["starttlsd"]).replace("\\", "").replace("*", "")
    commands = re.findall(r"(?m)^  (\w+) ", said(PROGRAM, "--help"))
    assert "probe" in commands
    for command in commands:
        part = re.search(rf"(?ms)^## [^\n]*\b{command}\b(.*?)^#", text)
        assert part, command
        for option in re.findall(r"(?m)^  (--[a-z-]+)", said(PROGRAM, command, "--help")):
            assert re.search(rf"(?m)^{option}\b", part[1]), f"{command} {option}"


def test_every_key_is_in_the_manual(manual):
    text = manual["starttlsd.ini"].read_text()
    keys = re.findall(r"(?m)^\| `(\w+)` \|", said(PROGRAM, "check", "--reference"))
    assert len(keys) > 50
    assert re.findall(r"(?m)^\.It Ic (\w+)$", text) == keys
    example = re.search(r"(?ms)^\.Bd .*?\n(.*?)^\.Ed", text)[1]
    assert example in [block.text for block in blocks(ROOT / "README.md", "ini")], "untried"
