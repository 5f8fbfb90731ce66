from nas.errors import NasError, one_line, unknown


def test_a_message_of_several_lines_becomes_one() -> None:
    assert one_line(ValueError("no such\n   file\t here ")) == "no such file here"
    assert one_line("  two\nwords ") == "two words"


def test_an_error_without_a_message_gives_its_type_and_an_empty_text_nothing() -> None:
    assert one_line(KeyboardInterrupt()) == "KeyboardInterrupt"
    assert one_line(" \n ") == ""


def test_a_long_message_is_cut_at_the_limit_with_a_mark() -> None:
    assert one_line("x" * 300) == "x" * 300
    assert one_line("x" * 301) == "x" * 299 + "…"
    assert one_line("abcdef", 4) == "abc…"


def test_an_unknown_name_comes_with_the_nearest_valid_one() -> None:
    error = unknown("device", "hots", ["phone", "host"])
    assert isinstance(error, NasError)
    assert error.exit_code == 2
    assert str(error) == "unknown device 'hots'. Did you mean 'host'? Valid: host, phone"
    assert str(unknown("device", "zzz", ["host"])) == "unknown device 'zzz'. Valid: host"
