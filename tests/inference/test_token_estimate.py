"""The estimate of a prompt's tokens is an upper one for every script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.inference.params import Sampling
from holdfast.inference.request import Request
from holdfast.inference.token_estimate import prompt_tokens, text_tokens

# 80 characters each, with the fewest and the most tokens of Qwen 3, Llama 3, Gemma 3, GPT-3.5, GPT-4o, Mistral 7B and
# Mistral Nemo. The texts are from the Universal Declaration of Human Rights.
MEASURED = {
    "English": ("gs shall enjoy freedom of speech and belief and freedom from fear and want has b", 16, 17),
    "German": ("erfüllen, und da verkündet worden ist, dass einer Welt, in der die Menschen Rede", 20, 23),
    "Russian": ("ром люди будут иметь свободу слова и убеждений и будут свободны от страха и нужд", 20, 37),
    "Greek": ("εξεγείρουν την ανθρώπινη συνείδηση, και η προοπτική ενός κόσμου όπου οι άνθρωποι", 27, 81),
    "Arabic": (" حماية حقوق الإنسان لكيلا يضطر المرء آخر الأمر إلى التمرد على الاستبداد والظلم. ", 22, 69),
    "Hindi": ("भय और अभाव से मुक्ति मिलेगी ) सर्वसाधारण के लिए सर्वोच्च आकांक्षा घोषित किया गया", 18, 84),
    "Thai": ("้องการให้มนุษย์มีชีวิตอยู่ในโลกด้วยอิสรภาพในการพูด และความเชื่อถือ และอิสรภาพพ้น", 26, 81),
    "Chinese": (
        ",努力通过教诲和教育促进对权利和自由的尊重,并通过国家的和国际的渐进措施,使这些权利和自由在各会员国本身人民及"
        "在其管辖下领土的人民中得到普遍和有效的承认和遵行;",
        53,
        95,
    ),
    "Chinese, traditional": (
        "宣言，努力通過教誨和教育促進對權利和自由的尊重，並通過國家的和國際的漸進措施，使這些權利和自由在各會員國本身"
        "人民及在其管轄下領土的人民中得到普遍和有效的承認和遵",
        57,
        113,
    ),
    "Japanese": (
        "促進を達成することを誓約したので、 これらの権利及び自由に対する共通の理解は、この誓約を完全にするために"
        "もっとも重要であるので、 よって、ここに、国連総会は、 ",
        44,
        91,
    ),
    "Korean": (
        " 자유속에서 사회적 진보와 보다 나은 생활수준을 증진하기로 다짐하였고, 회원국들은 국제연합과 협력하여 인권과"
        " 기본적 자유의 보편적 존중과 준수를",
        47,
        84,
    ),
    "Python": ("Unusable,\n    body_of,\n    prompt_estimate,\n    read_answer,\n    read_json,\n)\nfr", 21, 33),
    "JSON": ('3272, "tags": ["a", "b"]}, {"id": 9, "x": 28.27431, "tags": ["a", "b"]}, {"id": ', 42, 49),
}


@pytest.mark.parametrize("language", MEASURED)
def test_it_is_near_the_most_that_a_tokenizer_needs(language: str) -> None:
    text, _, most = MEASURED[language]
    assert 0.8 * most <= text_tokens(text) <= 2 * most


def test_a_character_of_a_script_without_spaces_is_a_token_or_more() -> None:
    for text in ("中", "の", "ไ", "ក", "မ", "한"):
        assert 1000 <= text_tokens(text * 1000) <= 2000


@given(st.text(), st.text())
def test_a_longer_text_has_no_fewer_tokens_and_parts_no_fewer_than_the_whole(one: str, two: str) -> None:
    assert max(text_tokens(one), text_tokens(two)) <= text_tokens(one + two) <= text_tokens(one) + text_tokens(two)


@given(st.text())
def test_it_is_never_more_than_the_bytes(text: str) -> None:
    assert 0 <= text_tokens(text) <= len(text.encode("utf-8", "replace"))


def test_token_ids_are_counted_and_messages_estimated_with_their_frame() -> None:
    assert prompt_tokens(Request("r", (5, 6, 7), None, 0, Sampling())) == 3
    asked = Request("r", None, (("system", "Be brief."), ("user", "中" * 100)), 0, Sampling())
    assert prompt_tokens(asked) > 100
    assert prompt_tokens(asked._replace(rendering='{"tools": []}')) > prompt_tokens(asked)
