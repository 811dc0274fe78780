"""CSV and JSON lines: read whole or not at all, with file, line and column of what is wrong."""

import base64
import json

import pytest
from dataset_rig import data_store, letter, numbered, put, said

from training.store.entry import About, LabelSource, Origin
from training.store.errors import DataStoreError
from training.store.look import Looker
from training.store.rows import Columns, as_line, read_csv, read_lines

ME = About(by="mona")


def csv_of(tmp_path, text):
    file = tmp_path / "mail.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_csv_with_texts(tmp_path):
    file = csv_of(tmp_path, 'label,text,subject,sender,received,lang,licence,extra\n'
                            'spam,"Buy, now\nor never",Große Rabatte,Ida <ida@x.example>,2026-01-02,de,CC0,zzz\n'
                            ',Only words,,,,,,\n')  # fmt: skip

    [(raw, about), (other, unlabelled)] = read_csv(file, ME, Columns())

    assert raw.startswith(b"From: Ida <ida@x.example>\r\nSubject: =?utf-8?")
    assert raw.endswith(b"Buy, now\nor never")
    assert (about.label, about.lang, about.licence, about.provenance) == ("spam", "de", "CC0", "mail.csv: line 3")
    assert about.received.isoformat() == "2026-01-02T00:00:00+00:00"
    assert b"Only words" in other
    assert unlabelled.label == ""


def test_csv_rows_become_messages_of_the_store(tmp_path):
    file = csv_of(tmp_path, "label,text,subject,sender\nham,The minutes of our meeting,Minutes,Ida <ida@x.example>\n")
    with data_store(tmp_path) as data:
        put(data, *read_csv(file, ME, Columns()))

        [entry] = data.entries()
        assert (entry.name, entry.sender, entry.reviewer) == ("ham", "ida@x.example", "mona")


def test_a_header_in_a_field_makes_no_second_header(tmp_path):
    file = csv_of(tmp_path, 'text,sender,subject\nhi,"a@x.example\nBcc: evil@y.example","s\nX-Evil: 1"\n')

    [(raw, _)] = read_csv(file, ME, Columns())

    assert b"\nBcc:" not in raw
    assert b"\nX-Evil:" not in raw


def test_csv_with_paths_beside_it(tmp_path):
    (tmp_path / "a.eml").write_bytes(letter())
    file = csv_of(tmp_path, "path,label,collection,direction\na.eml,fraud,mine,outbound\n")

    [(raw, about)] = read_csv(file, ME, Columns())

    assert raw == letter()
    assert (about.label, about.collection, about.direction) == ("fraud", "mine", "outbound")


def test_columns_and_words_of_others(tmp_path):
    file = csv_of(tmp_path, "v1,v2\n1,Win a prize\n0,See you\n")
    columns = Columns({"label": "v1", "text": "v2"}, {"1": "spam", "0": "ham"})

    assert [about.label for _, about in read_csv(file, ME, columns)] == ["spam", "ham"]


@pytest.mark.parametrize(("text", "told"), [
    ("label,body\nspam,x\n", r"mail.csv: line 1: expected a column path, text or html, found 'label', 'body'"),
    ("", "line 1: expected a column path, text or html, found nothing"),
    ("text,label\nx,spam\ny,junk\nz,Spamm\n",
     r"line 3: label: expected one of ham, spam, phishing, fraud, bad, found 'junk'\n.*line 4: label: .*'spamm'"),
    ("path\nnone.eml\n", r"line 2: path: .*none.eml: No such file or directory"),
    ("path\n.\n", "line 2: path: .*: this is no file"),
    ("text,received\nx,soon\n", "line 2: received: expected a time such as 2026-11-23T14:30, found 'soon'"),
    ("text,direction\nx,up\n", "line 2: direction: expected one of inbound, outbound, found 'up'"),
    ("text,label\n,spam\n", "line 2: expected a path or a text, found neither"),
    ("text\n" + "a" * (65 << 20), "this is no CSV: field larger"),
])  # fmt: skip
def test_wrong_csv(tmp_path, text, told):
    with pytest.raises(DataStoreError, match=f"(?s){told}"):
        read_csv(csv_of(tmp_path, text), ME, Columns())


def test_csv_that_is_not_there_or_not_utf8(tmp_path):
    with pytest.raises(DataStoreError, match=r"no\.csv: No such file"):
        read_csv(tmp_path / "no.csv", ME, Columns())
    (tmp_path / "b.csv").write_bytes(b"text\n\xfc\n")
    with pytest.raises(DataStoreError, match="expected UTF-8, found byte 0xfc"):
        read_csv(tmp_path / "b.csv", ME, Columns())
    with pytest.raises(DataStoreError, match="there is no column 'v9' for text"):
        read_csv(csv_of(tmp_path, "v1\nx\n"), ME, Columns({"text": "v9"}))


# --- JSON lines


def exported(data, tmp_path, *, raw):
    file = tmp_path / "out.jsonl"
    with Looker(data_lists(), data.clock()) as looker:
        looks = looker.look(data.raws(e.digest for e in data.entries()))
        lines = [as_line(e, look.document.subject, look.document.body, data.raw(e.digest) if raw else None)
                 for e, look in zip(data.entries(), looks, strict=True)]  # fmt: skip
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def data_lists():
    from dataset_rig import lists

    return lists()


def test_a_store_goes_through_json_lines_unchanged(tmp_path):
    from training.store.snapshots import freeze

    (tmp_path / "other").mkdir()
    with data_store(tmp_path) as data, data_store(tmp_path / "other") as other:
        put(data, (letter(), said("fraud", collection="c", licence="CC0", origin=Origin.SAMPLED, sample_weight=4.0,
                                  reporter="r@x.example")),
            (numbered(1), said("ham")), (numbered(2), said("spam", source=LabelSource.DRAFT)))  # fmt: skip
        file = exported(data, tmp_path, raw=True)

        put(other, *((line.raw, line.about) for line in read_lines(file, About(by="otto"), [])))

        there = other.entries()
        assert freeze(other, "x", by="otto").fingerprint == freeze(data, "x", by="mona").fingerprint
        assert (there[0].collection, there[0].licence, there[0].reporter) == ("c", "CC0", "r@x.example")
        assert (there[0].origin, there[0].sample_weight) == (Origin.SAMPLED, 4.0)
        assert there[2].bad is None, "a draft is no label, and does not become one"
        assert other.history(there[0].digest)[0].reason == "by mona (import) where it was exported"


def test_a_line_says_what_a_model_reads(tmp_path):
    with data_store(tmp_path) as data:
        put(data, (letter("Mail ben, or see https://www.shop.example/x?y=1 now"), said("spam")))

        [line] = map(json.loads, exported(data, tmp_path, raw=False).read_text().splitlines())

    assert line["subject"] == "Your parcel"
    assert "www.shop.example" in line["text"]
    assert "x?y" not in line["text"]
    assert (line["label"], line["draft"]) == ("spam", None)
    assert (line["label_source"], line["reviewer"]) == ("import", "mona")
    assert "raw" not in line


@pytest.mark.parametrize(("line", "told"), [
    ('{"id": "KNOWN", "label": "junk"}', "line 2: label: expected one of ham, .*, bad, found 'junk'"),
    ('{"id": "abc", "label": "ham"}', "line 2: id: there is no message 'abc' .*, and the line has no raw"),
    ('{"label": "ham"}', "line 2: id: there is no message ''"),
    ("[1]", "line 2: expected an object with id and label, or with raw"),
    ("{", "line 2: this is no JSON"),
    ('{"raw": "%%%"}', "line 2: raw: expected base64"),
    ('{"raw": "QQ==", "sample_weight": "x"}', "line 2: sample_weight: expected a number of at least 1, found 'x'"),
    ('{"raw": "QQ==", "sample_weight": NaN}', "line 2: sample_weight: expected a number"),
    ('{"raw": "QQ==", "origin": "found"}', "line 2: origin: expected one of kept, sampled, imported"),
    ("[" * 100_000, "line 2: this is no JSON"),
])  # fmt: skip
def test_wrong_lines(tmp_path, line, told):
    file = tmp_path / "labels.jsonl"
    file.write_text('{"id": "KNOWN", "label": "ham"}\n' + line + "\n")

    with pytest.raises(DataStoreError, match=told) as caught:
        read_lines(file, ME, ["KNOWN"])

    assert str(caught.value).endswith("Nothing was imported.")


def test_many_wrong_lines_are_counted(tmp_path):
    file = tmp_path / "labels.jsonl"
    file.write_text("{\n" * 50)

    with pytest.raises(DataStoreError) as caught:
        read_lines(file, ME, [])

    assert f"{file}: and 30 more" in str(caught.value)


def test_labels_by_id(tmp_path):
    file = tmp_path / "labels.jsonl"
    raw = base64.b64encode(letter()).decode()
    file.write_text(f'{{"id": "KNOWN", "label": "fraud", "text": "…"}}\n\n{{"raw": "{raw}", "label": null}}\n')

    one, two = read_lines(file, ME, ["KNOWN"])

    assert (one.digest, one.raw, one.about.label) == ("KNOWN", None, "fraud")
    assert (two.raw, two.about.label) == (letter(), "")
