"""Does a text name a language, or ask for a translation? Then its answer may be in another language than the text."""

import re

# Stems, in the languages that most instructions are in; a match too many only keeps a row.
_TRANSLATE = """
    translat übersetz traduc traduz tradui tradur vertaal vertal översätt oversæt oversett käännä kääntä tłumacz
    przetłum перевод перевед перевест переклад přelož fordít çevir terjemah dịch μετάφρα μεταφρ ترجم अनुवाद 翻译
    翻譯 翻訳 訳 번역
"""


_NAMES = """
    english englisch anglais inglés ingles inglese inglês engels engelsk angielsk английск англійськ 英語 英语
    英文 영어 french französisch franzoesisch français francais francés frances francese francês frans fransk
    francusk французск 法語 法语 法文 フランス語 프랑스어 german deutsch allemand alemán aleman tedesco alemão
    duits tysk niemieck немецк 德語 德语 德文 ドイツ語 독일어 spanish spanisch espagnol español espanol
    castellano spagnolo espanhol spaans spansk hiszpańsk испанск 西班牙語 西班牙语 スペイン語 스페인어 italian
    italienisch italien italiano italiaans włosk итальянск 意大利語 意大利语 イタリア語 이탈리아어 portug
    португальск 葡萄牙 ポルトガル語 포르투갈어 dutch niederländisch holländisch néerlandais neerlandés holandés
    olandese holandês nederlands niderlandzk нидерландск 荷蘭語 荷兰语 オランダ語 네덜란드어 russ rosyjsk русск
    російськ 俄語 俄语 俄文 ロシア語 러시아어 chinese chinesisch mandarin cantonese chinois chino cinese chinês
    chinees kinesisk chińsk китайск 中文 漢語 汉语 普通话 中国語 중국어 japan 日語 日语 日本語 일본어 япон korea
    corea coreano koreań корейск 韓語 韩语 한국어 韓国語 arab العربية عربي арабск 阿拉伯 アラビア語 아랍어 hindi
    हिन्दी हिंदी inglesa française polish polnisch polonais polaco polacco polon pools polsk польск 波蘭語
    波兰语 ポーランド語 turk türk turc turco турецк 土耳其語 土耳其语 トルコ語 vietnam tiếng việt indones bahasa
    thai ไทย 泰語 泰语 swedish schwedisch suédois sueco svedese zweeds svensk szwedzk шведск danish dänisch
    danois danés danese deens dansk norwegian norwegisch norvégien noruego noors norsk finnish finnisch finnois
    finlandés suomi suomeksi czech tschechisch tchèque checo ceco česk чешск hungarian ungarisch hongrois
    húngaro magyar greek griechisch grec griego greco grieks ελληνικ hebrew hebräisch hébreu hebreo ebraico
    עברית ukrain українськ romanian rumänisch roumain rumano rumeno român bulgar swahili kiswahili latin
    lateinisch persian farsi فارسی urdu اردو bengali বাংলা tamil தமிழ் telugu tagalog filipino catal esperanto
"""


_SPACED = re.compile(r"[a-z\u00c0-\u04ff]")  # Latin, Greek, Cyrillic: there a stem begins a word


def _pattern(stems: list[str]) -> re.Pattern[str]:
    begins = "|".join(re.escape(stem) for stem in stems if _SPACED.match(stem))
    anywhere = "|".join(re.escape(stem) for stem in stems if not _SPACED.match(stem))
    return re.compile(rf"\b(?:{begins})|{anywhere}", re.IGNORECASE)


_WORDS = _pattern([*_TRANSLATE.split(), *_NAMES.split()])


def names_a_language(text: str) -> bool:
    """Whether a text has a word for a language or for translating."""
    return _WORDS.search(text) is not None
