"""Phrases about hair salons."""

from __future__ import annotations

from .schema import Aspect, Topic

TOPIC = Topic(
    label="salon",
    kind="place",
    entities="salon; hairdresser; barber shop; hair studio; beauty parlour",
    makers="",
    preposition="at",
    leads="*book a haircut {at}; *visit {E}; *take {my} daughter to {E}; *have {my} hair coloured {at};"
    "*ask for a trim {at};"
    "*go to {E} before a wedding; *try a new style {at}; *get a quick shave {at}",
    outcomes="so {I} *wear a hat / so {I} *show it off; so {I} *ask for a refund / so {I} *leave a big tip;"
    "so {I} *go elsewhere / so {I} *book again; so {I} *leave in tears / so {I} *leave with a smile;"
    "so {I} *wash it out at home / so {I} *take a photo",
    references="at the shop next door; at {my} usual place; last time; on {my} last visit; before the move",
    past="before the wedding; on {my} last visit; on Saturday morning; during the sale; at {my} first appointment;"
    "after the holidays",
    present="on Saturdays; before holidays; on weekday mornings; at lunchtime; in wedding season; after work",
    future="at {my} next appointment; before the wedding; on {my} next visit; after the move; in wedding season;"
    "when the new owner arrives",
    aspects=(
        Aspect(
            determiners="the|{my}",
            plain="stylist; hairdresser; barber; +stylists",
            technical="colourist; trichologist; extension fitter; junior colourist",
            expert="colourist mixing a 20-volume developer; stylist trained in dry point-cutting;"
            "trichologist with a dermatoscope;"
            "technician bonding keratin extensions",
            adjectives="rude / friendly; careless / careful; clumsy / skilful; moody / cheerful;distracted / attentive",
            verbs="*ignore {my} wishes / *listen to {my} wishes; *cut off too much / *cut just enough;"
            "*talk down to {me} / *put {me} at ease;"
            "*rush the job / *take time over the job; *burn {my} ear / *pamper {me}",
            comparatives="rougher / gentler; sloppier / neater",
            neutral="*work near the mirror; *wear a black apron; *start at nine; *use the chair by the window;"
            "*live in the next street",
        ),
        Aspect(
            determiners="the|{my}",
            plain="haircut; trim; fringe; short cut",
            technical="layered bob; undercut; graduated bob; skin fade",
            expert="graduated bob cut at 45 degrees; slide-cut shag with internal layers;"
            "skin fade with a zero-gap blend;"
            "pixie with disconnected nape texturising",
            adjectives="uneven / neat; dull / stylish; messy / tidy; dreadful / gorgeous; harsh / flattering",
            verbs="*make {me} look older / *make {me} look younger;"
            "*lose shape within days / *keep shape for weeks #; *embarrass {me} / *suit {me};"
            "*stick out at the sides / *fall perfectly; *attract pity / *attract compliments",
            comparatives="choppier / smoother; worse / better",
            neutral="*take half an hour; *end above the shoulder; *frame the face; *come with a wash;"
            "*leave the neck bare",
        ),
        Aspect(
            determiners="the|{my}",
            plain="colour; hair dye; blonde shade; new colour",
            technical="balayage; toner; semi-permanent tint; +highlights",
            expert="+foil highlights lifted to level nine; balayage with a demi-permanent gloss; violet toner at pH 6;"
            "bleach buffered with a bond builder",
            adjectives="patchy / even; brassy / natural; dull / glossy; fake / realistic; disappointing / dazzling",
            verbs="*fade within a week / *last for months #; *dry out {my} hair / *leave {my} hair silky;"
            "*irritate {my} scalp / *feel gentle on {my} scalp;"
            "*stain {my} towels / *rinse out cleanly; *look orange / *look rich and warm",
            comparatives="patchier / more even; duller / shinier",
            neutral="*take two hours; *start at the roots; *match the sample card; *need a cap; *cover the grey",
        ),
        Aspect(
            determiners="the",
            plain="shampoo; conditioner; hair mask; hair oil",
            technical="keratin mask; sulphate-free shampoo; protein treatment; argan serum",
            expert="bond-building mask with maleic acid; keratin treatment sealed at 210 degrees;"
            "chelating shampoo with EDTA;"
            "leave-in serum with hydrolysed silk peptides",
            adjectives="greasy / light; harsh / gentle; useless / effective; sticky / silky; overpriced / affordable",
            verbs="*sting {my} eyes / *soothe {my} skin; *leave {my} hair limp / *leave {my} hair bouncy;"
            "*smell like paint / *smell like coconut;"
            "*make {me} itch / *relax {me}; *do nothing for dry ends / *rescue dry ends",
            comparatives="harsher / milder; worse / better",
            neutral="*come in a large bottle; *contain almond oil; *stay on for five minutes #; *cost extra;"
            "*stand on a glass shelf",
        ),
        Aspect(
            determiners="the",
            plain="waiting area; shop floor; washing corner; drying corner",
            technical="backwash area; ergonomic styling bay; ionised drying room; shiatsu basin area",
            expert="backwash row with shiatsu basins; styling bay lit at 5,000 kelvin;"
            "colour bar with a fume extraction hood;"
            "drying zone on negative-ion units",
            adjectives="dirty / clean; crowded / calm; draughty / cosy; shabby / elegant; noisy / peaceful",
            verbs="*smell of burnt hair / *smell of roses; *feel like a bus stop / *feel like a spa;"
            "*need a good sweep / *sparkle;"
            "*look neglected / *look fresh; *make waiting miserable / *make waiting pleasant",
            comparatives="dirtier / cleaner; noisier / quieter",
            neutral="*face the street; *hold four chairs; *have tall mirrors; *lie behind the till;*have a tiled floor",
        ),
        Aspect(
            determiners="the",
            plain="dryer; hair dryer; +scissors; +clippers",
            technical="ceramic straightener; ionic dryer; +thinning shears; 1,800 W dryer",
            expert="tourmaline dryer with a brushless motor; titanium iron with PID control;"
            "+cobalt-steel shears with a convex edge;"
            "+cordless clippers with a 0.1 mm taper blade",
            adjectives="blunt / precise; noisy / quiet; worn / new; clumsy / handy; old-fashioned / modern",
            verbs="*pull at {my} hair / *glide through {my} hair; *break during {my} visit / *work perfectly;"
            "*scorch the ends / *protect the ends;"
            "*rattle horribly / *purr softly; *look dirty / *look spotless",
            comparatives="noisier / quieter; rougher / gentler",
            neutral="*hang from a hook; *lie on a tray; *come from abroad; *have a black handle;"
            "*stay beside the basin #",
        ),
        Aspect(
            determiners="the",
            plain="price; bill; price list; cost of a trim",
            technical="surcharge for extensions; cancellation fee; 20 percent surcharge; tiered tariff",
            expert="tariff by stylist grade and hair density; colour surcharge per 60 ml of developer;"
            "fee split by foil count;"
            "no-show levy on a card pre-authorisation",
            adjectives="high / low; unfair / fair; shocking / reasonable; confusing / clear; outrageous / modest",
            verbs="*catch {me} out / *please {me}; *double without notice / *match the quote;"
            "*annoy regular guests / *attract regular guests;"
            "*seem like a joke / *seem like a bargain; *scare students away / *suit students",
            comparatives="higher / lower; less fair / fairer",
            neutral="*depend on the length; *hang on the wall; *include a wash; *cover the usual extras;"
            "*appear on the website",
        ),
        Aspect(
            determiners="the",
            plain="booking desk; appointment desk; booking service; front desk",
            technical="booking app; online calendar; SMS reminder service; loyalty scheme",
            expert="calendar synced over an iCal feed; booking API with deposit capture;"
            "patch-test log with 48-hour expiry;"
            "queue engine with no-show scoring",
            adjectives="chaotic / organised; slow / quick; unreliable / reliable; confusing / simple;"
            "unhelpful / helpful",
            verbs="*lose {my} appointment / *find {me} an early slot;"
            "*double-book the chairs / *keep perfect order; *keep {me} waiting / *save {me} a wait;"
            "*forget {my} name / *remember {my} name; *turn people away / *welcome walk-ins",
            comparatives="slower / quicker; worse / better",
            neutral="*open at eight; *close on Sundays #; *take names and times; *offer half-hour slots;"
            "*handle two shops",
        ),
    ),
)
