"""`holdfast --help` and the help of every subcommand."""

import re

import pytest

from holdfast.cli.commands import COMMANDS, main


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_s_own_help_says_what_the_list_says(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    listed = said(capsys).partition(" COMMAND ")[2]
    about = said(capsys, command).partition(f"holdfast {command} ")[2]
    about = re.sub(r"^(\[.*?\] |MODEL |STEP |ID |ARM |REPO |\.\.\. )*", "", about)
    assert f"{command} {about[:30]}" in listed
