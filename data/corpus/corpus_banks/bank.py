"""Phrases about banking apps."""

from __future__ import annotations

from .schema import Aspect, Topic

TOPIC = Topic(
    label="bank",
    kind="service",
    entities="banking app; bank app; money app; savings app; payment app",
    makers="bank; lender; building society; finance group",
    preposition="in",
    leads="*open an account with {E} #; *pay {my} rent with {E}; *download {E} #; *move {my} savings to {E} #;"
    "*send money abroad with {E};"
    "*check {my} balance in {E}; *try {E} for a month #; *switch to {E} #",
    outcomes="so {I} *close {my} account / so {I} *move all {my} savings;"
    "so {I} *miss a payment / so {I} *pay in good time;"
    "so {I} *queue at the branch / so {I} *skip the branch; so {I} *delete the app / so {I} *keep the app;"
    "so {I} *call the helpline / so {I} *forget about the helpline",
    references="at {my} old bank; in the old version; in most rivals; last year; before the update",
    past="after the update; on payday; during the outage; over the holidays; at the end of the month;while travelling",
    present="on payday; abroad; at the end of the month; on busy days; in the mornings; on older phones",
    future="after the next update; from next month; on the next payday; in the new version; once the merger ends;"
    "by the new tax year",
    aspects=(
        Aspect(
            determiners="the",
            plain="login; sign-in page; password screen; login screen",
            technical="fingerprint login; two-factor login; PIN screen; biometric login",
            expert="FIDO2 passkey login; TOTP prompt with a 30-second window; OAuth 2.0 sign-in with PKCE;"
            "biometric login in a secure enclave",
            adjectives="slow / quick; confusing / simple; unreliable / reliable; tiresome / painless; unsafe / safe",
            verbs="*lock {me} out / *let {me} in at once; *forget {my} phone / *remember {my} phone;"
            "*fail at the worst moments / *work at any moment;"
            "*ask the same thing twice / *ask only once; *test {my} patience / *spare {my} patience",
            comparatives="slower / quicker; less safe / safer",
            neutral="*open on a blue page; *ask for a name; *come before the main page; *work on two phones;"
            "*use large letters",
        ),
        Aspect(
            determiners="the",
            plain="transfer page; payment page; money transfer; payment service",
            technical="SEPA transfer; direct debit page; contactless payment; 2-minute transfer",
            expert="SEPA instant rail with IBAN checks; ISO 20022 payment flow;"
            "tokenised NFC payment with 3-D Secure;"
            "open-banking transfer over signed webhooks",
            adjectives="slow / fast; clumsy / smooth; costly / free; confusing / clear; risky / secure",
            verbs="*lose {my} money for days / *move {my} money in seconds;"
            "*fail without a reason / *go through first time; *hide the fees / *show every fee;"
            "*double {my} payments / *catch double payments; *worry {me} / *reassure {me}",
            comparatives="slower / faster; dearer / cheaper",
            neutral="*need a short code; *show the date; *keep a record; *lie under the second tab;"
            "*work in pounds and euros",
        ),
        Aspect(
            determiners="the",
            plain="help desk; support team; +helpers; customer service",
            technical="chatbot; live-chat agent; fraud team; dispute team",
            expert="chatbot on an intent classifier; fraud desk with AML screening;"
            "chargeback team using dispute codes;"
            "agent on an encrypted session replay",
            adjectives="rude / polite; useless / helpful; slow / quick; clueless / competent; cold / caring",
            verbs="*ignore {my} messages / *answer within minutes; *blame {me} / *take {me} seriously;"
            "*repeat the same phrases / *solve the problem;"
            "*keep {me} on hold / *call {me} back; *misread {my} question / *grasp {my} question",
            comparatives="ruder / kinder; slower / quicker",
            neutral="*work from nine to five #; *reply in English; *sit in another city; *use a chat window;"
            "*start with a greeting",
            preposition="behind",
        ),
        Aspect(
            determiners="the",
            plain="home page; main menu; design; layout",
            technical="user interface; dashboard; widget; dark mode",
            expert="interface on a 60 fps rendering path; dashboard with WCAG AA contrast;"
            "adaptive grid with vector icons;"
            "component-based dashboard with cached queries",
            adjectives="ugly / elegant; cluttered / clean; confusing / intuitive; slow / snappy; dull / cheerful",
            verbs="*hide {my} balance / *show {my} balance at a glance; *puzzle older users / *suit older users;"
            "*freeze at random / *respond at once;"
            "*bury the useful buttons / *put the useful buttons first; *tire {my} eyes / *rest {my} eyes",
            comparatives="messier / tidier; uglier / nicer",
            neutral="*use a white background; *show three tabs; *start with the balance; *follow the system font;"
            "*have a round logo",
        ),
        Aspect(
            determiners="the",
            plain="savings account; savings pot; rainy-day fund; interest",
            technical="interest rate; fixed-rate bond; 3 percent rate; ISA account",
            expert="tracker rate at 0.4 points over base; fixed-term bond with quarterly compounding;"
            "sweep account over an ISA wrapper;"
            "tiered rate with a 4.1 percent AER",
            adjectives="poor / generous; unfair / fair; stingy / attractive; disappointing / rewarding;"
            "confusing / transparent",
            verbs="*earn next to nothing / *earn a good return; *punish small savers / *reward small savers;"
            "*shrink {my} savings / *grow {my} savings;"
            "*hide nasty conditions / *come without nasty conditions; *let {me} down / *exceed {my} hopes",
            comparatives="stingier / more generous; worse / better",
            neutral="*pay out in December #; *appear on the second tab; *need a small deposit;"
            "*follow the calendar year; *have a separate number",
            preposition="with",
        ),
        Aspect(
            determiners="the",
            plain="card; bank card; debit card; travel card",
            technical="virtual card; contactless chip; prepaid card; cashback card",
            expert="EMV card with dynamic CVV; virtual card with merchant locking; metal card with an NFC antenna;"
            "tokenised card with geofenced limits",
            adjectives="unreliable / reliable; costly / cheap; useless / useful; flimsy / sturdy;"
            "inconvenient / convenient",
            verbs="*fail at the till / *work at every till; *charge hidden fees / *charge no fees;"
            "*take weeks to arrive / *arrive within days;"
            "*stop working abroad / *work abroad; *embarrass {me} in shops / *save {me} in shops",
            comparatives="dearer / cheaper; less useful / more useful",
            neutral="*come in the post; *show no number; *come in white; *last until the printed date;"
            "*link to one account",
            preposition="from",
        ),
        Aspect(
            determiners="the",
            plain="+alerts; message alert; spending alert; monthly report",
            technical="push notification; spending tracker; budget widget; CSV export",
            expert="push alert over an encrypted topic; spend classifier with 40 merchant codes;"
            "ledger export in OFX format;"
            "anomaly alert with velocity rules",
            adjectives="late / prompt; annoying / useful; wrong / accurate; vague / precise; clumsy / smart",
            verbs="*come hours too late / *come within seconds; *miss strange payments / *catch strange payments;"
            "*confuse {my} spending / *explain {my} spending;"
            "*wake {me} at night / *respect {my} sleep; *bother {me} for nothing / *warn {me} in time",
            comparatives="later / quicker; less useful / more useful",
            neutral="*arrive on the phone; *show the shop name; *group spending by week; *carry a small icon;"
            "*stay on the list #",
        ),
        Aspect(
            determiners="the",
            plain="safety check; privacy page; security; data safety",
            technical="encryption; fraud filter; 256-bit encryption; device lock",
            expert="end-to-end AES-256 layer; TLS 1.3 session with certificate pinning; HSM-backed key store;"
            "behavioural fraud model with device binding",
            adjectives="weak / strong; outdated / modern; careless / careful; doubtful / solid; patchy / thorough",
            verbs="*leave {my} data exposed / *keep {my} data safe; *block honest payments / *block false payments;"
            "*make {me} nervous / *let {me} sleep well;"
            "*miss an obvious fraud / *stop an obvious fraud; *fail every test / *pass every test",
            comparatives="weaker / stronger; laxer / stricter",
            neutral="*work in the background; *start with the app; *follow the usual rules; *cover both accounts;"
            "*appear in the settings",
        ),
    ),
)
