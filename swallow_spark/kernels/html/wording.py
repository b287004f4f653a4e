"""Short lines of a page whose words show what they, or the lines below them, are: mainly in Japanese."""

import re
from typing import Final

_BOILERPLATE: Final = re.compile(
    r"[\s【〔［\[（(＜<■□●◆▼▲※*]*(?:"
    r"©|\(c\)|copyright\b|all rights reserved|無断(?:転載|複製|使用)|(?:この記事は|続きは)会員限定|この記事をシェア"
    r"|(?:関連(?:記事|リンク|キーワード|ニュース)[:：]?"
    r"|(?:ツイート|シェア|いいね|ブックマーク|はてブ|LINEで送る|スポンサーリンク|Tweet|Share|Pocket|PR|広告)!?"
    r"|印刷(?:する)?|(?:この)?(?:ページの?)?(?:先頭|トップ|TOP)(?:へ|に戻る|へ戻る)"
    r"|続きを読む|もっと見る|一覧(?:へ|を見る|に戻る)?)$)",
    re.IGNORECASE,
)
_NAVIGATION: Final = re.compile(
    r"戻る|もどる|トップ|ホーム|目次|(?:次|前)の?(?:ページ|号|回|記事|話|へ)|バックナンバー|一覧|^\d{1,3}$"
    r"|(?:写真|画像|動画|フォト).*(?:見る|枚)|(?:続き|全文|詳細|詳しく)(?:は|を)|もっと見る"
    r"|^[【〔［\[■▼▶●・\s]*(?:関連(?:記事|リンク|ニュース)|あわせて読|こちらも)"
    r"|^(?:\W*\b(?:home|top|index|back|next|prev(?:ious)?|up|contents)\b)+\W*$",
    re.IGNORECASE,
)
_RELATED: Final = re.compile(
    r"関連|おすすめ|オススメ|お薦め|人気|ランキング|最新|新着|最近の|カテゴリ|アーカイブ|タグ|(?:合|あ)わせて読|よく読まれ|読まれてい"
    r"|バックナンバー|こんな(?:記事|商品)|こちらも|(?:ほか|他|次)の記事|次に読|注目|ピックアップ|特集|スポンサー"
    r"|\b(?:related|recommended|popular|recent|latest|categories|archives|tags|more from|you may|see also)\b",
    re.IGNORECASE,
)
_COMMENTS: Final = re.compile(
    r"(?:(?:みんなの)?コメント|読者の声|comments?|leave a (?:reply|comment))(?:一覧|欄|を(?:書く|残す|投稿)|する)?"
    r"[\s(（:：\d件)）]*$",
    re.IGNORECASE,
)
_DATE: Final = re.compile(
    r"(?:(?:公開|更新|投稿|掲載|作成|配信|最終更新|登録|発表)日?時?\s*[:：]?\s*)?"
    r"(?:20|19)\d\d\s*[年/.-]\s*\d{1,2}\s*[月/.-]\s*\d{1,2}\s*日?\s*(?:[(（].{1,3}[)）])?"
    r"\s*(?:\d{1,2}\s*[:：時]\s*\d{2}\s*分?)?\s*(?:公開|更新|投稿|掲載|配信|付)?$"
)
# All fine print has one of these.
_FINE_PRINT_SIGNS: Final = ("©", "opyright", "OPYRIGHT", "ights ", "無断", "ookie", "クッキー")
_FINE_PRINT: Final = re.compile(
    r"©|copyright\s*(?:\(|\d)|rights reserved|無断(?:転載|複製|使用|引用|複写)"
    r"|\b(?:uses?|accept|of) (?:\w+ )?cookies|(?:cookies?|クッキー)[^。]{0,12}(?:使用|利用|同意|許可)",
    re.IGNORECASE,
)
_PERMALINK: Final = re.compile(r"\s*(?:[¶§#]|\[(?:編集|ソースを編集|edit)(?: \| [^\]]*)?\])$")


def is_boilerplate(line: str) -> bool:
    """Whether a line is not part of an article: a copyright, a paywall, a button for sharing."""
    return _BOILERPLATE.match(line) is not None


def is_fine_print(text: str) -> bool:
    """Whether a paragraph is about copyright or cookies: these are as long as prose."""
    return any(sign in text for sign in _FINE_PRINT_SIGNS) and _FINE_PRINT.search(text) is not None


def is_navigation(line: str) -> bool:
    """Whether a line of links leads back, onwards, or to the rest of the text."""
    return _NAVIGATION.search(line) is not None


def is_related(heading: str) -> bool:
    """Whether a heading may stand above links to other pages of the site."""
    return _RELATED.search(heading) is not None


def is_about_comments(heading: str) -> bool:
    """Whether a heading stands above readers' comments."""
    return _COMMENTS.match(heading) is not None


def is_date(line: str) -> bool:
    """Whether a line is a date, with or without a time, and nothing else."""
    return _DATE.match(line) is not None


def without_permalink(heading: str) -> str:
    """A heading without its permalink mark or a wiki's [編集]; unchanged if nothing else is left."""
    return _PERMALINK.sub("", heading) or heading
