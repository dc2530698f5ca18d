"""Documents: the embedded names, and the script's way of reading a file."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import microgpt
from microgpt.data import Tokenizer, digest, embedded_names, load_documents

FOLDER = Path(microgpt.__file__).parent / "data"


def as_the_script_reads(path):
    with open(path, encoding="utf-8") as file:
        return [line.strip() for line in file.read().strip().split("\n") if line.strip()]


def test_embedded_names_are_thousands_of_lower_case_words_sorted_and_without_repeats():
    names = embedded_names()
    assert len(names) == 5163
    assert all(name.isascii() and name.isalpha() and name.islower() for name in names)
    assert names == sorted(set(names))
    assert {"mary", "james"} <= set(names)


def test_embedded_names_are_one_a_line_and_have_their_provenance_beside_them():
    content = (FOLDER / "names.txt").read_bytes()
    assert content.decode("ascii").split("\n") == [*embedded_names(), ""]
    note = (FOLDER / "README.md").read_text("utf-8")
    assert hashlib.sha256(content).hexdigest() in note
    assert "Census" in note
    assert "public domain" in note


def test_without_a_path_input_txt_comes_before_the_embedded_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_documents() == embedded_names()
    (tmp_path / "input.txt").write_text("zoe\n")
    assert load_documents() == ["zoe"]


@pytest.mark.parametrize(
    "content",
    [
        b"emma\nolivia\n",
        b"\n\n  emma \t\n\n   \nolivia",
        b"emma\r\nolivia\rava\r\n",
        "é\u2028x\n\u00a0ü\u00a0\na\ufeffb\n".encode(),
        b"a\x0bb\x0cc\x1cd\n\x0b\n",
    ],
)
def test_a_file_is_read_as_the_script_reads_it(tmp_path, content):
    path = tmp_path / "documents.txt"
    path.write_bytes(content)
    assert load_documents(path) == load_documents(str(path)) == as_the_script_reads(path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no documents"),
        (b" \n\t\n", "no documents"),
        (b"a\xff\xfe", "not a text file in UTF-8"),
        (b"a\0b", "zero byte"),
    ],
)
def test_a_file_without_text_is_refused_in_one_line_with_its_name(tmp_path, content, complaint):
    path = tmp_path / "odd.bin"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=complaint) as caught:
        load_documents(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_or_a_folder_is_an_oserror_with_its_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.txt"):
        load_documents(tmp_path / "nothing.txt")
    with pytest.raises(OSError, match=tmp_path.name):
        load_documents(tmp_path)


# ---- tokens ----

TEXTS = st.lists(st.text(max_size=8), min_size=1, max_size=8)


@given(texts=TEXTS)
def test_tokens_are_the_scripts_and_come_back_as_text(texts):
    uchars = sorted(set("".join(texts)))
    bos = len(uchars)
    tokenizer = Tokenizer(texts)
    assert (tokenizer.bos, tokenizer.vocab_size, list(tokenizer.characters)) == (bos, bos + 1, uchars)
    for text in texts:
        tokens = [bos, *(uchars.index(character) for character in text), bos]
        assert tokenizer.encode(text) == tokens
        assert tokenizer.tokens(text) == tokens[1:-1]
        assert tokenizer.decode(tokens) == tokenizer.decode(tokens[1:-1]) == text
    again = Tokenizer(tokenizer.characters)
    assert again == tokenizer and hash(again) == hash(tokenizer)
    assert eval(repr(tokenizer)) == tokenizer


def test_tokenizers_of_other_characters_are_others():
    assert Tokenizer(["ab"]) != Tokenizer(["abc"])
    assert Tokenizer(["ab"]) != "ab"


def test_characters_outside_the_vocabulary_are_named():
    tokenizer = Tokenizer(["abc"])
    for encode in (tokenizer.encode, tokenizer.tokens):
        with pytest.raises(ValueError, match=r"not in the vocabulary: '!x' \(it has 'abc'\)"):
            encode("ax!bx")


@pytest.mark.parametrize("tokens", [[4], [0, -1], [99]])
def test_a_number_that_is_no_token_is_a_valueerror(tokens):
    with pytest.raises(ValueError, match="tokens are from 0 to 3"):
        Tokenizer(["abc"]).decode(tokens)
    assert Tokenizer(["abc"]).decode([]) == ""


@given(one=TEXTS, other=TEXTS)
def test_digests_are_equal_where_documents_are(one, other):
    assert (digest(one) == digest(other)) == (one == other)
    assert len(digest(one)) == 64


def test_digests_see_where_a_document_ends():
    assert digest(["a", "b"]) != digest(["ab"]) != digest(["a\nb"])
    assert digest(["a\ud800"]) != digest(["a"])
