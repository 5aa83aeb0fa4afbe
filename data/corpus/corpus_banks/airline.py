"""Phrases about airlines."""

from __future__ import annotations

from .schema import Aspect, Topic

TOPIC = Topic(
    label="airline",
    kind="service",
    entities="airline; carrier; budget airline; regional airline; charter airline",
    makers="",
    preposition="with",
    leads="*fly home {at}; *book two tickets {at}; *choose {E}; *cross the ocean {at}; *travel on business {at};"
    "*take an early flight {at}; *send {my} parents abroad {at}; *trust {E} with {my} holiday",
    outcomes="so {I} *miss {my} connection / so {I} *catch {my} connection;"
    "so {I} *arrive exhausted / so {I} *arrive rested;"
    "so {I} *demand a refund / so {I} *join the loyalty club;"
    "so {I} *take the train home / so {I} *book the same flight home;"
    "so {I} *file a complaint / so {I} *write a thank-you note",
    references="on {my} last flight; on other airlines; last year; before the merger; last time",
    past="on the outbound flight; on the way home; during the strike; over Christmas; on the night flight; in August",
    present="on night flights; in the holiday season; on short flights; at peak times; on Friday flights; in winter",
    future="on the return flight; over Christmas; on {my} next trip; after the merger; in the summer timetable;"
    "on the next long flight",
    aspects=(
        Aspect(
            determiners="the",
            plain="seat; window seat; aisle seat; middle seat",
            technical="bulkhead seat; lie-flat seat; 31-inch seat row; premium economy seat",
            expert="slimline seat at 29-inch pitch; lie-flat pod in a 1-2-1 layout;"
            "seat with a six-way headrest and PED power;"
            "shell seat with a cradle recline",
            adjectives="cramped / roomy; hard / soft; dirty / clean; narrow / wide; broken / comfortable",
            verbs="*hurt {my} back / *support {my} back;"
            "*leave no room for {my} knees / *leave room for {my} knees; *refuse to recline / *recline smoothly;"
            "*smell of sweat / *smell fresh; *keep {me} awake / *help {me} sleep",
            comparatives="tighter / roomier; harder / softer",
            neutral="*have a blue cover; *face the front; *come with a belt; *have a folding table;*sit over the wing",
            preposition="on",
        ),
        Aspect(
            determiners="the",
            plain="crew; cabin crew; +flight attendants; steward",
            technical="purser; first officer; ground handler; gate agent",
            expert="purser rated on wide-body doors; crew on a fatigue-managed roster;"
            "gate agent on the departure control terminal;"
            "captain flying an ILS approach",
            adjectives="rude / friendly; lazy / attentive; cold / warm; impatient / patient; careless / professional",
            verbs="*ignore {my} requests / *answer {my} requests; *snap at passengers / *smile at passengers;"
            "*frighten the children / *calm the children;"
            "*give {me} false information / *give {me} clear information;"
            "*make {me} feel unwelcome / *make {me} feel welcome",
            comparatives="ruder / kinder; slower / quicker",
            neutral="*dress in navy blue; *speak French and German; *come from many countries;"
            "*work until midnight #; *carry a small badge",
            preposition="on",
        ),
        Aspect(
            determiners="the|{my}",
            plain="meal; dinner; snack; sandwich",
            technical="hot meal; gluten-free meal; 300 g tray meal; catering box",
            expert="cook-chill entree held at 4 degrees; low-sodium meal coded LSML;"
            "tray regenerated in a convection galley oven;"
            "HACCP-logged hot entree",
            adjectives="cold / hot; bland / tasty; stale / fresh; tiny / generous; dreadful / delicious",
            verbs="*taste of plastic / *taste homemade; *turn {my} stomach / *lift {my} mood;"
            "*look grey and sad / *look inviting;"
            "*go straight in the bin / *disappear in minutes; *cost too much / *come free of charge",
            comparatives="blander / tastier; smaller / bigger",
            neutral="*come in a box; *follow the drinks; *include bread and cheese; *come with water;*arrive on a tray",
            preposition="on",
        ),
        Aspect(
            determiners="the|{my}",
            plain="luggage; suitcase; hand luggage; +bags",
            technical="checked bag; 23 kg suitcase; baggage trace; +RFID bag tags",
            expert="interline bag tagged to the final hub; +hold bags scanned by CT;"
            "tracer file in the baggage ledger;"
            "suitcase in a ULD container",
            adjectives="late / prompt; damaged / undamaged; wet / dry; scratched / spotless; unsafe / safe",
            verbs="*arrive two days late / *arrive within minutes; *go missing / *turn up at once;"
            "*come back broken / *come back in one piece;"
            "*end up in the wrong city / *end up in the right place; *cost {me} a fortune / *travel for free",
            comparatives="later / earlier; more trouble / less trouble",
            neutral="*come through the second belt; *carry a paper label; *travel in the hold;"
            "*go through a scanner; *count as one item",
        ),
        Aspect(
            determiners="the",
            plain="booking page; website; airline app; check-in page",
            technical="boarding pass app; fare calendar; self-service kiosk; QR boarding pass",
            expert="NDC booking engine with fare caching; PNR page with APIS checks; kiosk reading NFC passports;"
            "boarding pass in an Aztec barcode",
            adjectives="slow / fast; confusing / clear; misleading / honest; clumsy / slick; unreliable / reliable",
            verbs="*crash at payment / *work at payment; *add sneaky extras / *add no extras;"
            "*lose {my} booking / *save {my} booking;"
            "*hide the cheap fares / *show the cheap fares; *waste {my} evening / *save {my} evening",
            comparatives="slower / faster; clumsier / simpler",
            neutral="*ask for a passport number; *open on a map; *show four fares; *work in nine languages;"
            "*close an hour before departure #",
            preposition="from",
        ),
        Aspect(
            determiners="the",
            plain="ticket; fare; ticket price; upgrade",
            technical="economy fare; fuel surcharge; +frequent-flyer miles; 20-euro surcharge",
            expert="Y-class fare with a Saturday rule; fare bucket with dynamic repricing;"
            "open-jaw ticket on an interline pact;"
            "ancillary bundle with a 24-hour void window",
            adjectives="expensive / cheap; unfair / fair; confusing / clear; outrageous / reasonable;rigid / flexible",
            verbs="*double overnight / *drop before the holidays; *hide extra charges / *include everything;"
            "*shock {me} / *please {me};"
            "*offer poor value / *offer great value; *block any change / *allow free changes",
            comparatives="dearer / cheaper; less fair / fairer",
            neutral="*include one bag; *depend on the day; *cover both legs; *appear on the receipt;*follow the season",
        ),
        Aspect(
            determiners="the",
            plain="flight; plane; morning flight; evening flight",
            technical="long-haul flight; turboprop; twin-engine jet; codeshare flight",
            expert="wide-body on an ETOPS route; turboprop with a 70-bar hydraulic system;"
            "wide-body at flight level 390;"
            "red-eye on a slot-controlled hub",
            adjectives="late / punctual; bumpy / smooth; noisy / quiet; unpleasant / pleasant; tiring / relaxing",
            verbs="*make {me} sick / *make {me} smile; *frighten {my} daughter / *thrill {my} daughter;"
            "*seem endless / *seem short;"
            "*spoil {my} holiday / *start {my} holiday well; *run three hours late / *run ahead of time",
            comparatives="bumpier / smoother; later / more punctual",
            neutral="*leave from gate seven; *carry ninety people; *go through the capital; *cross two borders;"
            "*need a short taxi ride",
        ),
        Aspect(
            determiners="the",
            plain="cabin; toilet; air in the cabin; film screen",
            technical="cabin air filter; seat-back monitor; overhead bin; satellite wifi",
            expert="HEPA-filtered cabin loop; Ka-band wifi at 70 Mbps; cabin held at a 6,000-foot altitude;"
            "seat-back system with 4K streaming",
            adjectives="dirty / clean; old / modern; faulty / perfect; shabby / stylish; awful / lovely",
            verbs="*look worn out / *look brand new; *bother {me} all night # / *please {me} all night #;"
            "*need urgent repair / *work flawlessly;"
            "*make the trip longer / *make the trip shorter; *give {me} a headache / *keep {me} relaxed",
            comparatives="worse / better; older / newer",
            neutral="*use soft blue light; *have a printed notice; *get a check before take-off #;"
            "*come with instructions; *serve thirty rows",
            preposition="on",
        ),
    ),
)
