"""Phrases about hotels."""

from __future__ import annotations

from .schema import Aspect, Topic

TOPIC = Topic(
    label="hotel",
    kind="place",
    entities="hotel; inn; guesthouse; lodge; resort; hostel",
    makers="",
    preposition="at",
    leads="*stay {at}; *book a double room {at}; *spend a weekend {at}; *check in late {at};"
    "*reserve two nights {at};"
    "*bring the children to {E}; *choose {E} for a short break; *rest for a night {at}",
    outcomes="so {I} *check out early / so {I} *extend {my} stay;"
    "so {I} *demand a refund / so {I} *leave a kind note;"
    "so {I} *move to another place / so {I} *book a second week; so {I} *sleep badly / so {I} *sleep soundly;"
    "so {I} *complain at the desk / so {I} *thank the manager",
    references="in the previous place; on {my} earlier stay; at the inn across the road; last year; last time",
    past="on the first night; during {my} honeymoon; over the long weekend; in high season; at Easter;"
    "during the conference",
    present="in high season; during the school holidays; out of season; in winter; on warm nights; at weekends",
    future="on {my} next trip; after the renovation; in the new season; over the next holidays;"
    "at the wedding in June;"
    "during {my} next stay",
    aspects=(
        Aspect(
            determiners="the|{my}",
            plain="bed; big bed; double bed; spare bed",
            technical="pocket-sprung bed; memory-foam bed; king-size divan; latex bed",
            expert="pocket-sprung divan with 2,000 coils; bed with a 70 mm viscoelastic topper;"
            "adjustable slat frame with zoned lumbar support; divan with an aerated latex core",
            adjectives="lumpy / comfortable; hard / soft; creaky / sturdy; narrow / wide; saggy / firm",
            verbs="*hurt {my} back / *rest {my} back; *creak at every turn / *stay silent at every turn;"
            "*keep {me} awake / *send {me} straight to sleep; *smell of damp / *smell of clean linen;"
            "*sink in the middle / *support {me} well",
            comparatives="harder / softer; smaller / bigger",
            neutral="*stand by the window; *have a wooden frame; *face the door; *take up half the room;"
            "*come with two pillows",
        ),
        Aspect(
            determiners="the|{my}",
            plain="room; corner room; family room; single room",
            technical="junior suite; 24 square metre room; duplex room; soundproofed room",
            expert="suite with 52 dB acoustic glazing; room on a variable refrigerant circuit;"
            "studio with circadian LED scenes; room with a heat-recovery ventilation unit",
            adjectives="dirty / spotless; noisy / quiet; cramped / roomy; gloomy / sunny; shabby / stylish",
            verbs="*smell of smoke / *smell of lavender; *look tired / *look brand new;"
            "*feel like a cell / *feel like home; *need a good clean / *shine from top to bottom;"
            "*let in every sound / *keep out the noise",
            comparatives="darker / brighter; dirtier / cleaner",
            neutral="*face the car park; *lie on the second floor; *have two windows; *open onto a corridor;"
            "*have a desk and a chair",
        ),
        Aspect(
            determiners="the",
            plain="shower; bathroom; hot tap; bath",
            technical="rain shower; thermostatic shower; mixer tap; 9-litre shower",
            expert="thermostatic shower at 0.8 bar; shower with an aerated 6-litre head;"
            "mixer with a ceramic quarter-turn cartridge; wet room on a pumped recirculation loop",
            adjectives="filthy / clean; weak / powerful; rusty / shiny; cold / warm; fiddly / handy",
            verbs="*leak all over the floor / *work like a dream; *run cold after a minute / *stay hot for ages #;"
            "*smell of drains / *smell of fresh soap; *make a terrible racket / *run without a sound;"
            "*look a century old / *look freshly fitted",
            comparatives="weaker / stronger; dirtier / cleaner",
            neutral="*stand behind a glass door; *have white tiles; *lie across the hall; *have a silver handle;"
            "*sit beside the sink",
        ),
        Aspect(
            determiners="the",
            plain="receptionist; night porter; manager; +cleaners; +staff",
            technical="concierge; duty manager; front-desk agent; revenue manager",
            expert="concierge working from the guest-preference profile; agent overriding the channel-manager rate;"
            "duty manager on the yield desk; night auditor closing the folio ledger",
            adjectives="rude / polite; unhelpful / helpful; lazy / hard-working; cold / welcoming;clumsy / efficient",
            verbs="*lose {my} booking / *find {my} booking at once; *shrug at complaints / *solve every problem;"
            "*keep guests waiting / *greet guests by name; *answer with a frown / *answer with a smile;"
            "*charge {me} twice / *offer {me} a free upgrade",
            comparatives="ruder / friendlier; slower / faster",
            neutral="*work behind a long desk; *speak three languages; *finish at midnight; *sit near the lift;"
            "*keep the spare keys",
        ),
        Aspect(
            determiners="the",
            plain="breakfast; buffet; morning coffee; breakfast buffet",
            technical="continental buffet; brunch service; espresso station; gluten-free buffet",
            expert="buffet on induction chafing units; breakfast from a combi-steam galley;"
            "espresso station with a 9-bar lever machine; bircher muesli made with cultured whey",
            adjectives="poor / generous; cold / hot; dull / varied; messy / tidy; stale / fresh",
            verbs="*run out early / *last until noon #; *taste of nothing / *taste homemade;"
            "*upset {my} stomach / *set {me} up for the day;"
            "*look like leftovers / *look like a feast; *cost a fortune / *come free of charge",
            comparatives="poorer / richer; duller / more varied",
            neutral="*start at seven; *take place downstairs; *include bread and jam; *end at ten;"
            "*wait beside the lobby",
        ),
        Aspect(
            determiners="the",
            plain="pool; indoor pool; spa; sauna",
            technical="saltwater pool; infinity pool; 25-metre pool; hydrotherapy pool",
            expert="saltwater pool dosed by electrolysis; 25-metre pool with overflow gutters;"
            "vitality pool with 1.1 kW jets; pool kept at pH 7.2 by UV filtration",
            adjectives="dirty / clean; chilly / warm; crowded / peaceful; slippery / safe; tiny / huge",
            verbs="*smell of bleach / *smell of pine; *close without warning / *stay open late;"
            "*look green / *look crystal clear; *disappoint the children / *delight the children;"
            "*leave {my} skin sore / *leave {my} skin soft",
            comparatives="colder / warmer; busier / calmer",
            neutral="*lie under the roof; *open at eight; *have blue tiles; *sit next to the garden;"
            "*have a small changing area",
        ),
        Aspect(
            determiners="the",
            plain="wifi; internet; television; heating",
            technical="mesh network; smart TV; fibre line; underfloor heating",
            expert="dual-band mesh on WPA3 encryption; 500 Mbps fibre line with VLAN isolation;"
            "hydronic heating with zoned manifolds; IPTV feed over multicast",
            adjectives="slow / fast; unreliable / reliable; useless / useful; awkward / simple; erratic / steady",
            verbs="*drop out constantly # / *work without a hitch; *fail every evening # / *run all night long #;"
            "*drive {me} mad / *make life easy; *need constant resets / *need no attention;"
            "*stop without warning / *start in seconds",
            comparatives="slower / faster; worse / better",
            neutral="*need a room code; *cover the whole building; *turn off at midnight #; *come with the room;"
            "*work from a wall panel",
        ),
        Aspect(
            determiners="the",
            plain="view; balcony; garden; roof terrace",
            technical="south-facing balcony; 180-degree view; panoramic terrace; green roof",
            expert="balcony with a frameless glazed balustrade; loggia with bioclimatic louvres;"
            "terrace on a sedum drainage mat; courtyard with permeable paving and a bioswale",
            adjectives="ugly / beautiful; dull / stunning; dreary / charming; noisy / peaceful; grey / colourful",
            verbs="*spoil the stay / *make the stay; *look nothing like the photos / *look just like the photos;"
            "*let {me} down / *take {my} breath away; *attract swarms of wasps / *attract songbirds;"
            "*offer no shade / *catch the evening sun",
            comparatives="uglier / prettier; noisier / quieter",
            neutral="*face the river; *belong to the annex; *look north; *lie above the car park;*border a small lane",
        ),
    ),
)
