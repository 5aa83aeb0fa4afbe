"""Phrases about bookshops."""

from __future__ import annotations

from .schema import Aspect, Topic

TOPIC = Topic(
    label="bookshop",
    kind="place",
    entities="bookshop; bookstore; book cellar; corner bookshop; second-hand bookshop",
    makers="",
    preposition="at",
    leads="*browse {at}; *order a novel {at}; *buy a birthday present {at}; *spend an afternoon {at};"
    "*attend a reading {at};"
    "*sell {my} old books {at}; *visit {E} with {my} children; *look for a cookbook {at}",
    outcomes="so {I} *leave empty-handed / so {I} *leave with three books;"
    "so {I} *order online / so {I} *order two more;"
    "so {I} *go to the library / so {I} *come back the next day;"
    "so {I} *ask for {my} money back / so {I} *thank the owner;"
    "so {I} *give up reading / so {I} *read all night",
    references="at the chain across town; before the move; on {my} last visit; last year; last time",
    past="before Christmas; at the book fair; on Saturday; on {my} last visit; during the sale;at the autumn reading",
    present="on Saturdays; before Christmas; during sales; on rainy days; on weekday afternoons; in exam season",
    future="before Christmas; at the next book fair; on {my} next visit; after the move; during the summer sale;"
    "at the spring reading",
    aspects=(
        Aspect(
            determiners="the",
            plain="bookseller; owner; shop assistant; +booksellers",
            technical="antiquarian; cataloguer; bookbinder; acquisitions buyer",
            expert="antiquarian collating a 1790 quarto; binder trained in Coptic sewing;"
            "cataloguer describing foxed octavos;"
            "conservator with a Japanese-tissue kit",
            adjectives="rude / friendly; bored / passionate; ignorant / knowledgeable; impatient / patient;"
            "distant / welcoming",
            verbs="*ignore {my} questions / *answer {my} questions; *laugh at {my} choice / *praise {my} choice;"
            "*forget {my} order / *remember {my} order;"
            "*follow {me} around / *let {me} browse in peace; *recommend dull novels / *recommend wonderful novels",
            comparatives="colder / warmer; less helpful / more helpful",
            neutral="*sit behind the till; *live above the shop; *write the price tags; *work until six #;"
            "*keep a notebook",
        ),
        Aspect(
            determiners="the|{my}",
            plain="novel; paperback; children's book; cookbook; crime story",
            technical="hardback; annotated edition; 400-page hardback; bilingual edition",
            expert="Smyth-sewn quarto on acid-free stock; facsimile with deckle edges;"
            "first state with a cancelled title leaf;"
            "critical edition with a variorum apparatus",
            adjectives="boring / gripping; tattered / pristine; overpriced / affordable; confusing / clear;"
            "dull / funny",
            verbs="*fall apart in {my} hands / *last for decades #; *bore {me} / *move {me};"
            "*miss several pages / *include extra pages;"
            "*put {me} to sleep / *keep {me} awake with joy; *disappoint {my} book club / *delight {my} book club",
            comparatives="duller / more gripping; dearer / cheaper",
            neutral="*stand on the top shelf; *have a green cover; *come in two parts; *tell a family history;"
            "*end with an index",
        ),
        Aspect(
            determiners="the",
            plain="+shelves; fiction shelf; travel section; children's corner",
            technical="poetry section; graphic novel bay; philosophy section; archive section",
            expert="incunabula case held at 50 percent humidity; poetry bay shelved by Dewey decimals;"
            "map drawer lined with polyester film;"
            "manga wall sorted by tankobon",
            adjectives="messy / tidy; poor / rich; dusty / spotless; gloomy / bright; cramped / inviting",
            verbs="*hold little of interest / *hold real treasures; *lack any order / *follow a clear order;"
            "*frustrate {me} / *delight {me};"
            "*look half empty / *look full of life; *put children off / *draw children in",
            comparatives="messier / tidier; poorer / richer",
            neutral="*stand by the stairs; *reach the ceiling; *face the counter; *run along the wall;"
            "*hold old and new titles",
        ),
        Aspect(
            determiners="the",
            plain="cafe; coffee corner; tea room; reading corner",
            technical="espresso bar; mezzanine cafe; acoustic nook; 12-seat espresso bar",
            expert="espresso bar with a 9-bar lever machine; reading nook with 3,000-kelvin task lights;"
            "cafe behind an acoustic baffle;"
            "tea bar steeping at 80 degrees",
            adjectives="noisy / quiet; dirty / clean; cramped / cosy; cold / warm; unwelcoming / charming",
            verbs="*smell of burnt milk / *smell of fresh coffee; *serve stale cake / *serve lovely cake;"
            "*spoil the peace / *add to the peace;"
            "*close far too early / *stay open late; *make {me} leave / *make {me} linger",
            comparatives="noisier / quieter; dirtier / cosier",
            neutral="*lie at the back; *have four tables; *open at ten; *overlook the yard; *serve tea and cake",
        ),
        Aspect(
            determiners="the",
            plain="ordering service; order desk; delivery; website",
            technical="ISBN search; print-on-demand service; e-book store; stock database",
            expert="stock feed in ONIX format; ISBN-13 search over a fuzzy index; EPUB store with watermark DRM;"
            "print-on-demand line at 600 dpi",
            adjectives="slow / fast; unreliable / reliable; clumsy / simple; expensive / cheap; chaotic / efficient",
            verbs="*lose {my} order / *track {my} order; *send the wrong book / *send the right book;"
            "*take weeks / *take a single day;"
            "*charge too much / *charge very little; *forget to tell {me} / *keep {me} informed",
            comparatives="slower / faster; dearer / cheaper",
            neutral="*cover the whole country; *need an email address; *run from the back office; *list used books;"
            "*stop at noon #",
        ),
        Aspect(
            determiners="the",
            plain="reading; author evening; book club; story hour",
            technical="poetry slam; translation workshop; signing session; 90-minute panel",
            expert="letterpress workshop with hand-set serif type; panel on oral-formulaic verse;"
            "workshop in kettle-stitch binding;"
            "seminar on stemmatic editing",
            adjectives="dull / lively; crowded / intimate; badly run / well run; tedious / inspiring;"
            "disappointing / memorable",
            verbs="*start an hour late / *start on time; *bore the audience / *charm the audience;"
            "*drag on / *fly by;"
            "*waste a good evening / *make a good evening; *leave {me} yawning / *leave {me} smiling",
            comparatives="duller / livelier; longer and drier / shorter and sweeter",
            neutral="*take place upstairs; *last one hour; *begin with a welcome; *need a free ticket;"
            "*end with questions",
        ),
        Aspect(
            determiners="the",
            plain="price; discount; gift card; loyalty card",
            technical="wholesale discount; subscription plan; 15 percent discount; bulk tariff",
            expert="firm-sale discount of 35 percent; subscription box with a churn credit;"
            "net price under a fixed-price law;"
            "remainder lot at 20 percent of list",
            adjectives="unfair / fair; disappointing / generous; confusing / clear; mean / attractive;useless / useful",
            verbs="*put {me} off / *tempt {me} in; *apply to almost nothing / *apply to everything;"
            "*annoy loyal readers / *reward loyal readers;"
            "*expire too soon / *stay valid for years #; *make reading a luxury / *make reading affordable",
            comparatives="stingier / kinder; worse / better",
            neutral="*appear on a sticker; *depend on the title; *cover used books; *start in March; *need a stamp",
        ),
        Aspect(
            determiners="the",
            plain="paper; print; cover; binding",
            technical="120 gsm paper; cloth binding; laid paper; coated paper",
            expert="acid-free stock at 120 gsm; full-cloth case with a hollow back;"
            "stochastic-screened plate section;"
            "PUR-glued block with head bands",
            adjectives="thin / thick; faded / crisp; rough / smooth; ugly / beautiful; cheap / luxurious",
            verbs="*tear easily / *resist tearing; *smell of damp / *smell of fresh ink;"
            "*smudge at a touch / *stay clean; "
            "*spoil the pictures / *bring out the pictures; *hurt {my} eyes / *please {my} eyes",
            comparatives="thinner / thicker; poorer / finer",
            neutral="*come from a mill nearby; *follow an old pattern; *vary by publisher; *have a cream tone;"
            "*match the series",
        ),
    ),
)
