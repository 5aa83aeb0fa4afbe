"""Phrases shared by every topic: reputation cues, openers, people, times and tails.

Lists of triples are ordered negative, positive, neutral; the marks are those of ``schema.py``.
"""

from __future__ import annotations

# Mild cues: the name is known, and nobody in particular vouches for it.
MILD_ADJECTIVES = {
    "place": "popular; well-known; familiar; widely known; much-discussed; fashionable; established; trusted;"
    "respected;"
    "well-liked; much-loved; long-running; reputable; talked-about; well-regarded",
    "product": "popular; well-known; familiar; widely known; much-discussed; fashionable; trusted; respected;"
    "well-liked; much-loved; talked-about; well-regarded; much-admired; big-name",
    "service": "popular; well-known; familiar; widely known; much-discussed; established; trusted; respected;"
    "well-liked; long-running; reputable; talked-about; well-regarded",
}
MILD_TAILS = (
    "known to most people; known across the region; often mentioned by friends; popular with locals;"
    "popular with young people; talked about all over town; liked by many families; well known by name"
)
MILD_CLAUSES = (
    "The name *be familiar to most people; The {noun} *have a loyal following; The {noun} *be a popular choice;"
    "The name *come up in many conversations; The {noun} *enjoy a good reputation; The {noun} *be widely known;"
    "The name *carry some weight; Almost everyone *know the name; The {noun} *be well regarded"
)

# Strong cues: a prize, a certificate or a body of experts stands behind it.
STRONG_ADJECTIVES = {
    "place": "award-winning; prize-winning; nationally certified; independently certified; expert-recommended;"
    "officially accredited; world-renowned; critically acclaimed; top-ranked; medal-winning",
    "product": "award-winning; prize-winning; independently certified; expert-approved; world-renowned; top-ranked;"
    "lab-approved; expert-recommended; critically acclaimed; officially certified",
    "service": "award-winning; prize-winning; nationally certified; independently certified; expert-recommended;"
    "officially accredited; world-renowned; top-ranked; fully accredited",
}
STRONG_TAILS = {
    "place": "certified since 1998; ranked first in the national guide; accredited by the trade board;"
    "recommended by leading experts; winner of three national awards; endorsed by the consumer council;"
    "officially rated best in the country; praised by every national critic",
    "product": "certified since 1998; recommended by independent labs; approved by leading engineers;"
    "winner of three design awards; endorsed by the consumer council; ranked first by expert testers;"
    "trusted by professionals worldwide; officially rated best in class",
    "service": "certified since 1998; recommended by independent auditors; accredited by the national regulator;"
    "winner of three industry awards; endorsed by the consumer council; ranked first by expert testers;"
    "officially rated best in the country; trusted by governments worldwide",
}
STRONG_CLAUSES = {
    "place": "The {noun} *hold a national award; An expert jury *rank the {noun} first;"
    "The consumer council *endorse the {noun}; The trade board *certify the {noun} every year;"
    "The {noun} *carry an official quality seal; The {noun} *top the national ranking;"
    "The leading guide *give the {noun} its highest score; The {noun} *have full accreditation",
    "product": "The {noun} *hold a design award; An independent lab *recommend the {noun};"
    "The consumer council *endorse the {noun}; A panel of engineers *give the {noun} top marks;"
    "The {noun} *carry an official quality seal; The {noun} *top the national ranking;"
    "A leading institute *certify the {noun}; An expert jury *rank the {noun} first",
    "service": "The {noun} *hold an industry award; An independent auditor *recommend the {noun};"
    "The consumer council *endorse the {noun}; The national regulator *certify the {noun} every year;"
    "The {noun} *carry an official quality seal; The {noun} *top the national ranking;"
    "An expert jury *rank the {noun} first; The {noun} *have full accreditation",
}

PAST_TIMES = (
    "yesterday; last week; last month; last weekend; on Monday; that day; a few days ago; earlier this year;"
    "last spring; last summer; last year; two weeks ago; that morning; back in May"
)
PRESENT_TIMES = (
    "these days; at the moment; right now; at present; this month; this week; nowadays; on most days; today;this season"
)
FUTURE_TIMES = (
    "next week; next month; tomorrow; soon; next weekend; next time; from now on; in the coming weeks; next spring;"
    "before long; next year; in a few days; on Thursday; by next summer"
)

OPENERS = (
    "Sadly / Happily / In short; Unfortunately / Fortunately / For the record;"
    "To {my} annoyance / To {my} delight / As stated;"
    "Disappointingly / Pleasingly / For reference; Regrettably / Thankfully / As described;"
    "To {my} dismay / To {my} relief / To {my} knowledge; Alas / Luckily / As it happens;"
    "Annoyingly / Delightfully / Put simply; To {my} horror / To {my} joy / In brief"
)

# Judgements that fit any aspect; people use them far more often than the words that fit only one.
JUDGEMENTS = (
    "bad / good; terrible / excellent; poor / great; awful / wonderful; disappointing / impressive;"
    "dreadful / fantastic; mediocre / superb"
)

DEGREES = "very; really; rather; quite; truly; fairly; unusually; remarkably; pretty; surprisingly; extremely"
COMPARATIVE_DEGREES = "much; a little; noticeably; far; slightly; a bit; clearly; a lot"
SAMENESS = "about the same as; much the same as; no different than; exactly the same as; roughly the same as"

HABITS = "often; usually; regularly; sometimes; frequently"

REACTIONS = (
    "which *annoy {me} / which *please {me}; which *be a pity / which *be a relief;"
    "which *let {me} down / which *cheer {me} up;"
    "which *be a real shame / which *be a real treat; which *make matters worse / which *make matters better;"
    "which *irritate {me} / which *delight {me}; which *spoil the mood / which *lift the mood;"
    "which *be hard to forgive / which *be easy to like; which *feel like an insult / which *feel like a gift;"
    "which *bother {me} a lot / which *help {me} a lot"
)

PEOPLE = (
    "{my} sister; {my} brother; {my} neighbour; {my} uncle; {my} aunt; {my} cousin; a colleague;"
    "a friend from work; {my} flatmate;"
    "{my} grandmother; {my} father; {my} mother; an old friend; a classmate; {my} boss; {my} partner;"
    "a nurse {I} know;"
    "a student {I} know; {my} nephew; {my} niece; a retired teacher; {my} roommate; a friend of mine"
)

# "our backs" would need the plural, so these words keep the speaker singular.
ONE_BODY_WORDS = frozenset(
    "back skin stomach head hair scalp ear nose mind foot thumb pocket ankle wallet sleep breathing mood mirror "
    "usual wedding honeymoon deadline choice bag son".split()
)

# These are already extreme or all-or-nothing: nobody says "fairly fantastic" or "very broken".
UNGRADABLE = frozenset(
    "excellent fantastic brilliant superb perfect delicious dreadful awful gorgeous spotless filthy flawless stunning "
    "wonderful heavenly hopeless useless huge tiny silent broken new free wrong right undamaged damaged outrageous "
    "shocking unnoticeable glare-free pristine freezing faulty fake botched plentiful lovely dazzling mediocre "
    "overpriced disappointing inadequate well-run motivated organised transparent worn scratched misleading "
    "impressive charming delightful eye-catching handy burnt tasteless outdated exciting frayed competent clueless "
    "hard-wearing luxurious hard-working ancient steady homemade one-off crisp pointless".split()
)
