import pyarrow as pa
import pytest

from swallow_spark.kernels.text.personal import KINDS, mask, mask_mail, mask_phone, mask_postal_code


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("連絡はinfo@example.co.jpまで", "連絡は<MAIL>まで"),
        ("a.b+c-d_e@sub.example.com、x＠example.jp。", "<MAIL>、<MAIL>。"),
        ("<taro@example.jp>", "<<MAIL>>"),
        ("mailto:taro@example.museum?subject=x", "mailto:<MAIL>?subject=x"),
        ("@example と user@localhost と a@b", "@example と user@localhost と a@b"),
        ("npm i @types/node@18.0.0 x@1.2.3", "npm i @types/node@18.0.0 x@1.2.3"),
        ("３個＠１００円", "３個＠１００円"),
    ],
)
def test_mail(text: str, expected: str) -> None:
    assert mask_mail(text)[0] == expected
    assert mask_mail(text)[1] == expected.count("<MAIL>")


@pytest.mark.parametrize(
    "number",
    [
        "03-1234-5678",
        "045-123-4567",
        "0467-12-3456",
        "04992-1-2345",
        "(03)1234-5678",
        "（０３）１２３４－５６７８",
        "03(1234)5678",
        "０４５－１２３－４５６７",
        "090-1234-5678",
        "09012345678",
        "０９０１２３４５６７８",
        "050-1234-5678",
        "0120-123-456",
        "0800-123-4567",
        "0570-012-345",
        "+81-3-1234-5678",
        "+81 90-1234-5678",
        "+81(0)3-1234-5678",
        "+819012345678",
        "＋８１９０１２３４５６７８",
        "+81312345678",
        "+81 3 1234 5678",
        "+81 90 1234 5678",
        "+81-90-1234-5678",
        "+81 (0)90-1234-5678",
        "+81-090-1234-5678",
        "+81 (3) 1234-5678",
        "+81-120-123-456",
        "03ー1234ー5678",
        "03‐1234−5678",
        "03ｰ1234ｰ5678",
        "０３―１２３４―５６７８",
        "03─1234─5678",
        "090﹣1234﹣5678",
    ],
)
def test_phone_numbers(number: str) -> None:
    assert mask_phone(f"TEL:{number}（代）") == ("TEL:<PHONE>（代）", 1)
    assert mask_phone(f"電話{number}、FAX {number}") == ("電話<PHONE>、FAX <PHONE>", 2)
    assert mask_phone(number) == ("<PHONE>", 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TEL03-1234-5678", "TEL<PHONE>"),
        ("FAX03-1234-5678", "FAX<PHONE>"),
        ("Tel045-123-4567", "Tel<PHONE>"),
        ("TEL０３－１２３４－５６７８", "TEL<PHONE>"),
        ("ＴＥＬ03-1234-5678　ｆａｘ．03-1234-5679", "ＴＥＬ<PHONE>　ｆａｘ．<PHONE>"),
        ("TEL(03)1234-5678", "TEL<PHONE>"),
        ("TEL.03-1234-5678", "TEL.<PHONE>"),
        ("TEL&FAX03-1234-5678", "TEL&FAX<PHONE>"),
        ("TELFAX03-1234-5678", "TELFAX<PHONE>"),
        ("TEL03-1234-5678FAX03-1234-5679", "TEL<PHONE>FAX<PHONE>"),
        ("お電話03-1234-5678e-mail", "お電話<PHONE>e-mail"),
        ("TEL09012345678", "TEL<PHONE>"),
        ("Mobile：09012345678Tel0312345678", "Mobile：<PHONE>Tel<PHONE>"),
        ("TEL+81-3-1234-5678", "TEL<PHONE>"),
        ("tel:+819012345678", "tel:<PHONE>"),
        ("電話は+81 3 1234 5678 2階です", "電話は<PHONE> 2階です"),
    ],
)
def test_phone_numbers_right_behind_letters(text: str, expected: str) -> None:
    assert mask_phone(text) == (expected, expected.count("<PHONE>"))


@pytest.mark.parametrize(
    "text",
    [
        "MODEL03-1234-5678",
        "HOTEL-TEL24-1234-5678",
        "型番TELX03-1234-5678",
        "TEL03-1234-5678-9012",
        "TEL03123456789",
        "TEL2024-01-02",
        "FAX100-1234-5678",
        "telecom0312345678",
        "https://example.jp/tel/03-1234-5678",
        "12+81 3 1234 5678",
        "x+819012345678",
        "+81点、+810円",
        "+8190123456789",
        "+8131234567",
        "+82 2 1234 5678",
        "2024-01-02",
        "01-02-2024",
        "2011-03-11 14:46",
        "ISBN 978-4-06-123456-7",
        "ISBN 0-13-110362-8",
        "ISBN4-06-123456-7",
        "0-306-40615-2",
        "価格 0120円、10,000円、100-2000円",
        "v0.12.345-6789",
        "1.02.03-0456",
        "2001:0db8:85a3",
        "型番 AB03-1234-5678",
        "図03-12-34",
        "注文番号 1203-1234-5678",
        "03-1234-5678-9012",
        "4111-1111-1111-1111",
        "0123456789",
        "3.14159265358979",
        "012-34-5678",
        "00-1-234",
        "https://example.jp/090-1234-5678",
        "約0900000000000個",
        "１０－２０－３０",
    ],
)
def test_what_looks_like_a_phone_number_stays(text: str) -> None:
    assert mask_phone(text) == (text, 0)


def test_postal_codes() -> None:
    masked = "<POSTAL_CODE>"
    for code in ("〒100-0001", "〒 １００－０００１", "〒1000001", "郵便番号：100-0001"):
        assert mask_postal_code(f"住所 {code} 千代田区") == (f"住所 {masked} 千代田区", 1)
    assert mask_postal_code("100-0001 東京都千代田区") == (f"{masked} 東京都千代田区", 1)
    assert mask_postal_code("６００－８２１６\n京都府") == (f"{masked}\n京都府", 1)
    for text in ("100-2000円", "100-0001", "第123-4567号", "1100-0001 東京都", "2024-0101 東京都", "100-0001の東京都"):
        assert mask_postal_code(text) == (text, 0)


def test_counts_and_lengths_are_by_kind_and_text() -> None:
    texts = pa.array(["〒100-0001 東京都 03-1234-5678", "a@example.jp b@example.jp", "何もない"], pa.large_string())
    masked = mask(texts, KINDS)
    assert masked.texts.to_pylist() == ["<POSTAL_CODE> 東京都 <PHONE>", "<MAIL> <MAIL>", "何もない"]
    assert masked.texts.type == pa.large_string()
    assert masked.num_chars.tolist() == [len(text) for text in masked.texts.to_pylist()]
    assert masked.counts.tolist() == [[0, 2, 0], [1, 0, 0], [1, 0, 0]]
    only = mask(texts, ["mail"])
    assert only.texts.to_pylist() == ["〒100-0001 東京都 03-1234-5678", "<MAIL> <MAIL>", "何もない"]
    assert only.counts.sum() == 2


@pytest.mark.parametrize(
    "piece", ["a", "0", "0-", "03-1234-", "a@", "a.", "@", "〒", "090", "(0", "+81", "+81 (", "tel", "TEL0"]
)
def test_hostile_text_takes_linear_time(piece: str) -> None:
    text = piece * (400_000 // len(piece))  # with a pattern of quadratic time, this would not end
    assert mask(pa.array([text]), KINDS).texts.to_pylist() == [text]
