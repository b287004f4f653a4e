"""The words of the interface, in English and Japanese."""

from typing import Final

LANGUAGES: Final = ("en", "ja")

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "page": ("all pages", "全ページ"),
    "duplicate": ("duplicates", "重複"),
    "survivor": ("kept by dedup", "重複除去後"),
    "accepted": ("accepted by the rules", "規則で採用"),
    "rejected": ("rejected by the rules", "規則で除外"),
    "subset": ("in a subset", "部分集合"),
    "stage": ("Stage", "段階"),
    "subset_name": ("Subset", "部分集合"),
    "reason": ("Reason", "理由"),
    "any": ("any", "すべて"),
    "preset": ("Preset", "規則集"),
    "classifier": ("Score of", "スコア"),
    "low": ("from", "下限"),
    "high": ("to", "上限"),
    "crawl": ("Crawl", "クロール"),
    "find": ("Search", "検索"),
    "within": ("in", "対象"),
    "url": ("URL", "URL"),
    "host": ("host", "ホスト"),
    "title": ("title", "題名"),
    "text": ("text", "本文"),
    "sort": ("Sort by", "並べ替え"),
    "doc_id": ("doc_id", "doc_id"),
    "num_chars": ("length", "長さ"),
    "date": ("date", "日付"),
    "score": ("score", "スコア"),
    "num_duplicates": ("number of duplicates", "重複数"),
    "similarity": ("similarity", "類似度"),
    "up": ("ascending", "昇順"),
    "down": ("descending", "降順"),
    "show": ("Show", "表示"),
    "reset": ("Reset", "条件を消す"),
    "filters": ("Filter and sort", "絞り込みと並べ替え"),
    "matches": ("pages", "件"),
    "counting": ("counting …", "数えています…"),
    "not_counted": ("not counted: it would take too long", "時間がかかるため数えていません"),
    "none": ("No page matches.", "該当するページはありません。"),
    "first": ("First", "先頭"),
    "newer": ("← Previous", "← 前へ"),
    "older": ("Next →", "次へ →"),
    "searched": ("Searched so far:", "検索済み："),
    "of_pages": ("of the pages", ""),
    "go_on": ("Search on →", "検索を続ける →"),
    "text_order": (
        "Searches of texts are listed by doc_id.",
        "本文の検索結果は doc_id 順に表示します。",
    ),
    "characters": ("characters", "字"),
    "untitled": ("(no title)", "（題名なし）"),
    "no_url": ("(no URL)", "（URL なし）"),
    "back": ("List", "一覧"),
    "marks": ("Marks", "印"),
    "no_marks": ("No page is marked yet.", "まだ印はありません。"),
    "marks_file": ("Marks are kept in", "印の保存先："),
    "export_labels": ("Save as training labels (JSONL)", "学習用ラベルとして保存（JSONL）"),
    "export_removal": ("Save as a list for remove", "remove 用の一覧として保存"),
    "wrongly_kept": ("wrongly kept", "誤って採用"),
    "wrongly_dropped": ("wrongly dropped", "誤って除外"),
    "mark_this": ("Mark this page", "このページに印を付ける"),
    "why": ("Why? (optional)", "理由（任意）"),
    "unmark": ("Take the mark back", "印を取り消す"),
    "marked": ("Marked", "印"),
    "extracted": ("Extracted text", "抽出した本文"),
    "raw": ("Page as crawled", "クロール時のページ"),
    "raw_note": (
        "Yellow: what extraction took. Scripts, images and links are off; nothing is loaded.",
        "黄色：抽出した部分。スクリプト・画像・リンクは無効で、何も読み込みません。",
    ),
    "raw_page": ("page", "表示"),
    "raw_source": ("HTML", "HTML"),
    "raw_head": ("HTTP", "HTTP"),
    "raw_remote": ("Read it again from", "再取得する："),
    "no_raw": ("The raw page can't be shown:", "元のページを表示できません："),
    "cut": ("Only the beginning is shown.", "先頭部分だけを表示しています。"),
    "cut_at": ("The first characters are shown, of", "先頭だけを表示しています。全体："),
    "verdict": ("Verdict", "判定"),
    "no_verdict": ("no verdict", "判定なし"),
    "dropped": ("dropped as a duplicate", "重複として除外"),
    "kept": ("kept by dedup", "重複除去で採用"),
    "duplicates": ("Duplicates", "重複ページ"),
    "no_duplicates": ("None.", "なし。"),
    "witness": ("near-duplicate of", "類似元"),
    "representative": ("kept in its place", "代わりに採用"),
    "dropped_for": ("dropped for this page", "このページのため除外"),
    "relation": ("Relation", "関係"),
    "compare": ("Compare", "比較"),
    "features": ("Features and bounds", "特徴量と閾値"),
    "other_features": ("Other features", "その他の特徴量"),
    "feature": ("Feature", "特徴量"),
    "value": ("Value", "値"),
    "bound": ("Bound", "閾値"),
    "not_measured": ("Not measured.", "未計測。"),
    "scores": ("Scores and subsets", "スコアと部分集合"),
    "no_scores": ("No score.", "スコアなし。"),
    "cuts": ("cuts", "境界"),
    "source": ("Source", "出典"),
    "file": ("File", "ファイル"),
    "offset": ("Offset", "位置"),
    "charset": ("Encoding", "文字コード"),
    "robots": ("Robots", "robots"),
    "truncated": ("text may be missing", "本文が欠けている可能性"),
    "removed": ("removed on request", "申請により削除"),
    "contaminated": ("shares n-grams with a benchmark", "評価データと重なりあり"),
    "unchanged_lines": ("unchanged lines", "行は同じ"),
    "diff_cut": (
        "Only the beginnings are compared: these texts are long.",
        "長いため、先頭部分だけを比較しています。",
    ),
    "keys": ("Keys", "キー操作"),
    "keys_list": (
        "j k: next and previous row · Enter: open · n p: next and previous screen · /: search",
        "j k：次・前の行 · Enter：開く · n p：次・前の画面 · /：検索",
    ),
    "keys_page": (
        "n p: next and previous page · u: list · 1: wrongly kept · 2: wrongly dropped · r: reason",
        "n p：次・前のページ · u：一覧 · 1：誤って採用 · 2：誤って除外 · r：理由",
    ),
    "read_only": ("The corpus is only read.", "コーパスは読み取り専用です。"),
    "no_page": ("There is no such page.", "そのページはありません。"),
    "no_next": ("This is the last page of the list.", "一覧の最後のページです。"),
    "no_previous": ("This is the first page of the list.", "一覧の最初のページです。"),
    "slow": (
        "This took too long and was stopped. Narrow it down: by crawl, stage or another search.",
        "時間がかかるため中止しました。クロール・段階・検索語で絞り込んでください。",
    ),
    "changed": (
        "A run has changed the corpus, or a file of it is damaged. Stop browse and start it again; "
        "`swallow-spark check` finds damaged files.",
        "コーパスが変更されたか、ファイルが壊れています。browse を終了して再び起動してください。"
        "壊れたファイルは `swallow-spark check` で見つかります。",
    ),
    "not_written": ("The mark could not be written:", "印を保存できませんでした："),
    "error": ("That did not work", "処理できませんでした"),
}

WORDS: Final = {
    language: {key: words[number] for key, words in _WORDS.items()} for number, language in enumerate(LANGUAGES)
}


def preferred(accepted: str) -> str:
    """The interface's language for the value of Accept-Language."""
    for part in accepted.lower().split(","):
        language = part.partition(";")[0].strip().partition("-")[0]
        if language in LANGUAGES:
            return language
    return LANGUAGES[0]
